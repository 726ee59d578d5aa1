"""Do drawn tumours follow the cohort, what do they look like, and how long does one take?

    python -m benchmarks.placement FOLDER [-lines 1000]

FOLDER is that of benchmarks.healthy_cohort. Donors are the 18 training cases of its split, hosts all healthy scans, at
1 mm; what is missing is planned and preprocessed first. Prints the quantiles of volume and class fractions of the
cohort and of the lines of a recipe, and of a planted biased sampler (twice the volume); paints where both lie
(places.png) and the first twelve (placed.png) into FOLDER.
"""

import argparse
import resource
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Literal

import numpy as np

from benchmarks.africa import prepare_full
from benchmarks.commands import run
from benchmarks.healthy_cohort import NAME, NUMBER
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.io.arguments import KEPT_GB
from nnunetv2_tf.io.panels import Panel, write_panels
from nnunetv2_tf.io.parallel import in_parallel
from nnunetv2_tf.synthesis.cohort import Cohort
from nnunetv2_tf.synthesis.placing_pools import HealthyHostPool
from nnunetv2_tf.tumours.bank import Bank, Lesion
from nnunetv2_tf.tumours.constraints import TumourConstraints
from nnunetv2_tf.tumours.place import PlacedTumour, place_tumours, read_host
from nnunetv2_tf.tumours.recipe import RecipeLine
from nnunetv2_tf.tumours.sampler import TumourSampler
from nnunetv2_tf.tumours.sampling_config import SamplingConfig
from nnunetv2_tf.working_space.preprocess import Plan
from nnunetv2_tf.working_space.stored import Case

CLASSES = {1: "NCR", 2: "ED", 3: "ET"}
WITHIN = 0.2
BIASED = 100  # lines
SHOWN = 12
TIMED = 20


@dataclass(frozen=True)
class PlacedLine:
    """A line's tumour on its host."""

    line: RecipeLine
    placed: PlacedTumour
    seconds: float  # to place it


def prepared(root: Path) -> HealthyHostPool:
    """Prepare real and healthy scans at 1 mm; return the healthy ones as hosts."""
    dataset = prepare_full(root)
    run("nnUNetv2_tf_preprocess_healthy", "-d", dataset.number, "-healthy", NUMBER, "-c", "3d_fullres", "-np", "2")
    plan = Plan.read(dataset, "nnUNetPlans", "3d_fullres")
    cohort = Cohort(dataset, plan, 0, Dataset(f"Dataset{NUMBER}_{NAME}"), KEPT_GB)
    return HealthyHostPool(cohort, seed=0, sampling=SamplingConfig(), num_processes=2)


def place_all(hosts: HealthyHostPool, lines: Sequence[RecipeLine]) -> list[PlacedLine]:
    """Place the tumours of lines; return them in the order of the lines."""
    by_host = defaultdict(list)
    for line in lines:
        by_host[line.host].append(line)
    place = partial(_place_in_host, hosts.cohort.bank, dict(hosts.cases))
    results = in_parallel(place, list(by_host.values()), 2, "Placing", "host")
    return sorted((entry for entries in results for entry in entries), key=lambda entry: entry.line.index)


def _place_in_host(bank: Bank, cases: Mapping[str, Case], lines: Sequence[RecipeLine]) -> list[PlacedLine]:
    """Place the tumours of lines with the same host, each by itself."""
    host = read_host(cases[lines[0].host].open(), around_fluid=True)
    results = []
    for line in lines:
        start = perf_counter()
        placed = place_tumours(line.tumours, bank, host)
        assert placed is not None  # it was drawn
        seconds = perf_counter() - start
        placed = replace(placed, warped=())  # a thousand of these would fill the memory
        results.append(PlacedLine(line, placed, seconds))
    return results


def time_few(hosts: HealthyHostPool) -> None:
    """Print how long it takes to read a host, to draw its tumour and to place it, in one process, and the memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    bank, reading, drawing, placing = hosts.cohort.bank, [], [], []
    with_bank = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for index, case in enumerate(list(hosts.cases.values())[:TIMED]):
        times = [perf_counter()]
        host = read_host(case.open(), around_fluid=True)
        times.append(perf_counter())
        sampler = TumourSampler(bank, hosts.sampling, TumourConstraints())
        drawn = sampler.sample(host, np.random.default_rng([0, index]))
        times.append(perf_counter())
        place_tumours(drawn.tumours, bank, host)
        times.append(perf_counter())
        for several, seconds in zip((reading, drawing, placing), np.diff(times), strict=True):
            several.append(seconds)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"one process, {TIMED} hosts: a placed tumour {np.median(placing):.2f} s (most {max(placing):.2f}), drawn "
        f"until it fits {np.median(drawing):.2f} s (most {max(drawing):.2f}), a host read {np.median(reading):.2f} s; "
        f"peak memory {peak:.0f} MB, {with_bank:.0f} with the bank, {before:.0f} before it"
    )


def compare(bank: Bank, drawn: Sequence[Lesion]) -> None:
    """Print the quantiles, and whether all lie within 20 %.

    Twice: interpolated between the cohort's few tumours, and as steps, each of which is a tumour. Only the latter come
    out the same when the cohort itself is drawn from often.
    """
    ways: dict[str, Literal["linear", "inverted_cdf"]] = {"interpolated": "linear", "as steps": "inverted_cdf"}
    for said, how in ways.items():
        print(f"\n{said}:")
        _compare(bank, drawn, how)


def _compare(bank: Bank, drawn: Sequence[Lesion], how: Literal["linear", "inverted_cdf"]) -> None:
    def quantiles(lesions: Sequence[Lesion]) -> np.ndarray:
        rows = [
            [lesion.volume, *(lesion.classes.get(value, 0) / lesion.volume for value in CLASSES)] for lesion in lesions
        ]
        return np.percentile(rows, [10, 50, 90], axis=0, method=how)

    theirs, ours = quantiles(bank.lesions), quantiles(drawn)
    print("| | 10 % | 50 % | 90 % |\n|---|---|---|---|")
    for column, name in enumerate(["volume in ml", *CLASSES.values()]):
        pairs = zip(theirs[:, column], ours[:, column], strict=True)
        cells = [f"{cohort:.3g} / {of_drawn:.3g}" for cohort, of_drawn in pairs]
        print(f"| {name} | {' | '.join(cells)} |")
    worst = float(np.abs(ours / np.maximum(theirs, 1e-9) - 1).max())
    print(f"largest difference {100 * worst:.0f} %; within 20 %: {worst <= WITHIN}")


def paint_places(path: Path, hosts: HealthyHostPool, drawn: Sequence[Lesion]) -> None:
    """Paint how often tumours lie where, seen from above, the front and the side; cohort above, drawn below."""
    reference = read_host(next(iter(hosts.cases.values())).open(), around_fluid=False)
    known, rows = hosts.cohort.bank.lesions, []
    for title, lesions in ((f"the cohort's {len(known)}", known), (f"{len(drawn)}", drawn)):
        heat = np.zeros(reference.organ.shape)
        back = np.linalg.inv(reference.grid)
        for lesion in lesions:
            places = np.rint(lesion.points @ back[:3, :3].T + back[:3, 3]).astype(int)
            places = places[((places >= 0) & (places < heat.shape)).all(axis=1)]
            np.add.at(heat, tuple(places.T), 1 / len(lesions))
        views = [heat.mean(axis=axis) for axis in range(3)]
        brains = [reference.organ.any(axis=axis).astype(int) for axis in range(3)]
        rows.append(
            [
                Panel(view[:: -1 if axis else 1], (0, float(view.max())), brain[:: -1 if axis else 1], title)
                for axis, (view, brain) in enumerate(zip(views, brains, strict=True))
            ]
        )
    write_panels(rows, path, inches=3.0)


def paint_placed(path: Path, hosts: HealthyHostPool, entries: Sequence[PlacedLine]) -> None:
    """Paint three cuts through each tumour where it is largest: the host, and with its map."""
    rows = []
    for entry in entries:
        case, placed = hosts.cases[entry.line.host].open(), entry.placed
        image, organ = case.image()[0], case.organ()
        span = (float(image[organ].min()), float(np.quantile(image[organ], 0.998)))
        label = placed.label(organ.shape)
        z, y, x = (int((label > 0).sum(axis=others).argmax()) for others in ((1, 2), (0, 2), (0, 1)))
        everything = slice(None)
        row = []
        for axis, cut in enumerate(
            ((z, everything, everything), (everything, y, everything), (everything, everything, x))
        ):
            turn = slice(None, None, -1 if axis else 1)
            shown = np.where(organ[cut], image[cut], span[0])[turn]
            volume, kept = placed.lesion.volume, min(placed.kept)
            title = f"{entry.line.host} {volume:.0f} ml, kept {kept:.2f}, fluid {placed.in_fluid:.2f}"
            row.append(Panel(shown, span, None, "" if row else title))
            row.append(Panel(shown, span, label[cut][turn]))
        rows.append(row)
    write_panels(rows, path, inches=1.7)


def main() -> None:
    """Draw and place the tumours, print how they compare with the cohort's, and paint them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="the folder of benchmarks.healthy_cohort")
    parser.add_argument("-lines", type=int, default=1000, help="default: %(default)s")
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    hosts = prepared(root)
    time_few(hosts)
    start = perf_counter()
    lines = hosts.lines(arguments.lines)
    print(f"{len(lines)} lines in {perf_counter() - start:.0f} s with two processes (what was drawn before is kept)")
    entries = place_all(hosts, lines)
    bank, drawn = hosts.cohort.bank, [entry.placed.lesion for entry in entries]
    print(f"{len(bank.lesions)} donors, {len(hosts.cases)} hosts, cohort / drawn")
    compare(bank, drawn)
    left = [np.mean([lesion.centre[0] > bank.midline for lesion in several]) for several in (bank.lesions, drawn)]
    print(f"left: {left[0]:.2f} of the cohort's, {left[1]:.2f} of the drawn")
    kept = [min(entry.placed.kept) for entry in entries]
    in_fluid = [entry.placed.in_fluid for entry in entries]
    print(
        f"kept: median {np.median(kept):.3f}, least {min(kept):.3f}; left out for fluid: median "
        f"{np.median(in_fluid):.3f}, most {max(in_fluid):.3f}"
    )
    middle = 2 * float(np.median([lesion.volume for lesion in bank.lesions]))
    biased = replace(hosts, asked={"volume_ml": [0.7 * middle, 1.4 * middle]})
    print("a biased sampler:")
    compare(bank, [entry.placed.lesion for entry in place_all(biased, biased.lines(BIASED))])
    paint_places(root / "places.png", hosts, drawn)
    paint_placed(root / "placed.png", hosts, entries[:SHOWN])


if __name__ == "__main__":
    main()
