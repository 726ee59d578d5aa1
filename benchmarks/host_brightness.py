"""Are healthy hosts as bright as patients' healthy tissue, wherever it lies?

    python -m benchmarks.host_brightness FOLDER [-o docs/results/harmonised]

FOLDER is that of benchmarks.starting_line. Prints, by depth under the brain's surface, quantiles of the 18 patients'
healthy tissue (4 mm away from their tumours and more), of the healthy scans as they are, and of the same harmonised to
two patients each (drawn with seed 0): by ranks over all of the brain, as until 2026-11-30, and by depth, as they are
now; with how far the quantiles from 25 to 90 % are from the patients', the mean over depths. Into the folder of -o go
all figures (brightness.csv) and a picture (hosts.png): five hosts as they are, by ranks, by depth, and beside them the
patient whose looks they took over.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.commands import enter
from benchmarks.starting_line import DATASET, HEALTHY, PLANS
from benchmarks.tables import write_rows
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.geometry.distances import depth_in, distance_within
from nnunetv2_tf.io.panels import Panel, write_panels
from nnunetv2_tf.synthesis.brightness import Brightness
from nnunetv2_tf.synthesis.cohort import Cohort
from nnunetv2_tf.synthesis.harmonise import AWAY, Z_SCORED, Appearance, harmonise
from nnunetv2_tf.working_space.preprocess import Plan
from nnunetv2_tf.working_space.stored import Case

BETWEEN = (0.0, 5.0, 10.0, 15.0, 20.0, 27.5, 100.0)  # mm
QUANTILES = (5, 25, 50, 75, 90, 97)
SHOWN, SPAN = 5, (-3.0, 2.5)  # hosts; z shown black and white
COMPARED = slice(1, 5)  # of the quantiles: not fluid, and not vessels
HEADER = ["tissue", "from_mm", "to_mm", *(f"p{quantile}" for quantile in QUANTILES)]
Looks = Callable[[Case], Appearance]


def quantiles(image: np.ndarray, where: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Return (D, Q) of an image (Z, Y, X), by depth, where it is to be looked at; NaN where nothing lies so deep."""
    rows = []
    for low, high in pairwise(BETWEEN):
        values = image[where & (depth > low) & (depth <= high)]
        rows.append(np.percentile(values, QUANTILES) if len(values) else np.full(len(QUANTILES), np.nan))
    return np.array(rows)


def of_patient(patient: Case) -> np.ndarray:
    """Return the quantiles of a patient's healthy tissue."""
    case = patient.open()
    tumour, organ = case.tumour() > 0, case.organ()
    away = distance_within(tumour, case.grid.spacing, 2 * AWAY) > AWAY
    return quantiles(case.image()[0], organ & away, depth_in(organ | tumour, case.grid.spacing))


def of_host(healthy: Case, model: Case | None = None, looks: Looks = Appearance.of) -> np.ndarray:
    """Return the quantiles of a healthy scan, as it is or harmonised."""
    case = healthy.open()
    image, organ = case.image(), case.organ()
    if model is not None:
        image = harmonise(image, organ, case.grid.spacing, looks(model), [Z_SCORED]).image
    return quantiles(image[0], organ, depth_in(organ, case.grid.spacing))


def by_ranks(model: Case) -> Appearance:
    """Return the appearance of a case, as if its brain were too small to have a rim."""
    looks = Appearance.of(model)
    return replace(looks, brightness=tuple(Brightness(channel.whole) for channel in looks.brightness))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders are")
    parser.add_argument("-o", type=Path, help="a folder for the table and the picture")
    arguments = parser.parse_args()
    enter(arguments.root.resolve())
    cohort = Cohort(DATASET, Plan.read(DATASET, PLANS, "3d_fullres"), 0, Dataset.find(HEALTHY))
    patients, hosts = list(cohort.labelled.values()), list(cohort.healthy_cases.values())
    rng = np.random.default_rng(0)
    pairs = [(host, patients[index]) for host in hosts for index in rng.choice(len(patients), 2, replace=False)]
    columns = {
        f"{len(patients)} patients": [of_patient(patient) for patient in patients],
        f"{len(hosts)} hosts as they are": [of_host(host) for host in hosts],
        "harmonised by ranks": [of_host(host, model, by_ranks) for host, model in tqdm(pairs, unit="host")],
        "harmonised by depth": [of_host(host, model) for host, model in tqdm(pairs, unit="host")],
    }
    means = {name: np.nanmean(found, axis=0) for name, found in columns.items()}
    show(means)
    if arguments.o is not None:
        places = list(pairwise(BETWEEN))
        rows = [
            [name, *place, *(f"{value:.3f}" for value in row)]
            for name, table in means.items() for place, row in zip(places, table, strict=True)
        ]  # fmt: skip
        arguments.o.mkdir(parents=True, exist_ok=True)
        write_rows(HEADER, rows, arguments.o / "brightness.csv")
        write_panels([painted(*pair) for pair in pairs[: 2 * SHOWN : 2]], arguments.o / "hosts.png", inches=2.2)


def painted(healthy: Case, model: Case) -> list[Panel]:
    """Return a host as it is, by ranks and by depth, and the patient whose looks it took over: the middle slices."""
    host, patient = healthy.open(), model.open()
    image, organ, spacing = host.image(), host.organ(), host.grid.spacing
    ranks, depth = (
        harmonise(image, organ, spacing, looks, [Z_SCORED]).image for looks in (by_ranks(model), Appearance.of(model))
    )
    titled = {"host": image, "by ranks": ranks, "by depth": depth, model.identifier: patient.image()}
    return [Panel(one[0, one.shape[1] // 2, ::-1].copy(), SPAN, None, title) for title, one in titled.items()]


def show(means: dict[str, np.ndarray]) -> None:
    """Print the median and two quantiles above it, by depth, and how far each column is from the first."""
    names, first = list(means), next(iter(means.values()))
    print(f"\n| mm deep | {' | '.join(f'{name}: 50, 75, 97 %' for name in names)} |\n{'|---' * (len(names) + 1)}|")
    shown: Sequence[int] = [QUANTILES.index(quantile) for quantile in (50, 75, 97)]
    for index, (low, high) in enumerate(pairwise(BETWEEN)):
        cells = (", ".join(f"{means[name][index, place]:.2f}" for place in shown) for name in names)
        print(f"| {low:g} to {high:g} | {' | '.join(cells)} |")
    away = (np.abs(means[name] - first)[:, COMPARED] for name in names)
    print(f"| away from patients | {' | '.join(f'{part.mean():.2f} (to {part.max():.2f})' for part in away)} |")


if __name__ == "__main__":
    main()
