"""What do made cases look like beside real ones?

    python -m benchmarks.made_cases FOLDER [-m tf_gan] [-preset paper]

FOLDER is that of benchmarks.tf_aug_recovery. Fits the method where that is not done yet (tf_gan wants tf_aug's fit),
makes 24 cases, and prints, of the training cases and of the made ones, as nnU-Net normalises them, means and standard
deviations inside the classes and the gradient at the tumours' surfaces; of tf_aug a and b too. Paints twelve
(made_METHOD_PRESET.png: host, harmonised, made, with its map, and the real case with the tumour of the most similar
volume), and 24 shuffled pictures without any sign, 12 real and 12 made (sorting_METHOD_PRESET/), for somebody to sort,
with the answers beside the folder (sorting_METHOD_PRESET.json).
"""

import argparse
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks.africa import ALL_PLANS
from benchmarks.commands import show
from benchmarks.healthy_cohort import NUMBER
from benchmarks.real_training import BASELINE
from benchmarks.tf_aug_real import FOLD, hosts_of, prepared
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.label_roles import class_values
from nnunetv2_tf.geometry.boxes import fullest_slice
from nnunetv2_tf.io.files import write_json
from nnunetv2_tf.io.json_dataclass import read_record
from nnunetv2_tf.io.panels import Panel, write_panels
from nnunetv2_tf.methods.lookup import find_method
from nnunetv2_tf.methods.tf_aug.fitting import FINAL, IntensityMap
from nnunetv2_tf.quality.boundary import boundary_gradient
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.synthesis.fitting import fit_folder
from nnunetv2_tf.synthesis.harmonise import Z_SCORED, Appearance, harmonise
from nnunetv2_tf.synthesis.placing_pools import HealthyHostPool
from nnunetv2_tf.synthesis.set_builder import SetBuilder
from nnunetv2_tf.tumours.recipe import RecipeLine
from nnunetv2_tf.working_space.stored import Case

CASES, SHOWN = 24, 12
BOUNDARY = (0.7, 1.4)
SPAN = (-3.0, 3.0)  # of z, black and white


@dataclass(frozen=True)
class Made:
    """A finished case beside its host."""

    case: Case
    host: Case
    harmonised: np.ndarray  # (Z, Y, X)


def make(dataset: Dataset, name: str, preset: str) -> tuple[HealthyHostPool, list[Made]]:
    """Fit and synthesize by the commands; return the hosts, and the cases that came out."""
    arguments = [dataset.name, "3d_fullres", str(FOLD), "-m", name, "-preset", preset, "-healthy", NUMBER]
    arguments += ["-p", ALL_PLANS]
    start = perf_counter()
    if show("nnUNetv2_tf_fit", *arguments, "-tr", BASELINE, "-device", "cpu"):
        raise SystemExit(2)
    print(f"fitted, or found fitted, in {perf_counter() - start:.0f} s")
    part = SetPart(dataset, f"look{name}{preset}".replace("_", ""), FOLD)
    if show("nnUNetv2_tf_synthesize", *arguments, "-s", part.set_name, "-num_cases", str(CASES), "-np", "2"):
        raise SystemExit(2)
    hosts, method = hosts_of(dataset, preset), find_method(name, preset)
    if name == "tf_aug":
        fitted = read_record(IntensityMap, fit_folder(hosts.cohort, method) / FINAL, "fit again.")
        for index, called in enumerate(fitted.names):
            print(f"{called}: a {fitted.a[index][0]:.3f}, b {fitted.b[index][0]:+.3f}")
    builder = SetBuilder(part, method, hosts, fit=None, num_cases=CASES, given=None, num_processes=1)
    return hosts, [_made(builder, hosts, line) for line in builder.lines()]


def _made(builder: SetBuilder, hosts: HealthyHostPool, line: RecipeLine) -> Made:
    """Return the case of a line, with its host as it was harmonised."""
    host, case = hosts.cases[line.host], builder.made_case(line)
    opened = host.open()
    image = opened.image()
    record = builder.part.sidecar(case.identifier).controls.get("harmonised")
    if record is not None:
        appearance = Appearance.of(hosts.cohort.training[record["to"]])
        image = harmonise(image, opened.organ(), opened.grid.spacing, appearance, [Z_SCORED]).image
    return Made(case, host, image[0])


def compare(real: Sequence[Case], made: Sequence[Made], classes: dict[str, int]) -> None:
    """Print means and standard deviations by class, and how the gradients at the tumours' surfaces compare."""
    made_cases = [entry.case for entry in made]
    print("\n| class | real: mean | made: mean | real: sd | made: sd |\n" + "|---" * 5 + "|")
    theirs, ours = ([_moments(case, classes) for case in cases] for cases in (real, made_cases))
    for index, name in enumerate(classes):
        columns = []
        for which in (0, 1):
            columns += [f"{np.nanmedian([moments[index][which] for moments in rows]):.2f}" for rows in (theirs, ours)]
        print(f"| {name} | {' | '.join(columns)} |")
    medians = [float(np.nanmedian([_gradient(case) for case in cases])) for cases in (real, made_cases)]
    ratio = medians[1] / medians[0]
    print(
        f"gradient at the surface: real {medians[0]:.3f}, made {medians[1]:.3f} sd per mm, ratio of medians "
        f"{ratio:.2f}; within {BOUNDARY[0]} and {BOUNDARY[1]}: {BOUNDARY[0] <= ratio <= BOUNDARY[1]}"
    )


def _gradient(case: Case) -> float:
    opened = case.open()
    return boundary_gradient(opened.image()[0], opened.tumour(), opened.organ(), opened.grid.spacing)


def _moments(case: Case, classes: dict[str, int]) -> list[tuple[float, float]]:
    """Return mean and standard deviation inside each class; nan where there is none of it."""
    opened = case.open()
    image, tumour = opened.image()[0], opened.tumour()
    inside = [image[tumour == value] for value in classes.values()]
    return [(float(v.mean()), float(v.std())) if len(v) > 1 else (np.nan, np.nan) for v in inside]


def paint(path: Path, real: Sequence[Case], made: Sequence[Made]) -> None:
    """Paint host, harmonised, made, made with its map, and a real case of similar volume."""
    volumes = np.array([(case.open().tumour() > 0).sum() for case in real])
    rows = []
    for entry in made[:SHOWN]:
        case, host = entry.case.open(), entry.host.open()
        tumour, organ = case.tumour(), case.organ()
        like = real[int(np.abs(np.log(volumes / (tumour > 0).sum())).argmin())].open()
        cut = fullest_slice(tumour > 0)
        slices = [
            np.where(organ, image, SPAN[0])[cut, ::-1] for image in (host.image()[0], entry.harmonised, case.image()[0])
        ]
        titles = (host.identifier, "harmonised", "made")
        row = [Panel(image, SPAN, None, title) for image, title in zip(slices, titles, strict=True)]
        row.append(Panel(slices[2], SPAN, tumour[cut, ::-1]))
        cut = fullest_slice(like.tumour() > 0)
        row.append(Panel(np.where(like.organ(), like.image()[0], SPAN[0])[cut, ::-1], SPAN, None, like.identifier))
        rows.append(row)
    write_panels(rows, path, inches=2.2)


def shuffle(folder: Path, answers: Path, real: Sequence[Case], made: Sequence[Made], seed: int) -> None:
    """Paint half real and half made cases, by number only: three cuts through where a tumour is largest."""
    rng = np.random.default_rng(seed)
    chosen = [(case, "real") for case in rng.permutation(np.array(real, dtype=object))[:SHOWN]]
    chosen += [(entry.case, "made") for entry in made[:SHOWN]]
    shutil.rmtree(folder, ignore_errors=True)
    key = {}
    for number, index in enumerate(rng.permutation(len(chosen)), start=1):
        case, kind = chosen[index]
        case = case.open()
        tumour, image = case.tumour(), np.where(case.organ(), case.image()[0], SPAN[0])
        z, y, x = (int((tumour > 0).sum(axis=others).argmax()) for others in ((1, 2), (0, 2), (0, 1)))
        cuts = (image[z, ::-1], image[::-1, y], image[::-1, :, x])
        size = max(max(cut.shape) for cut in cuts)
        write_panels([[Panel(square(cut, size), SPAN) for cut in cuts]], folder / f"{number:02d}.png", inches=4.0)
        key[f"{number:02d}"] = {"kind": kind, "case": case.identifier}
    write_json(answers, key)


def square(cut: np.ndarray, size: int) -> np.ndarray:
    """Return a cut in the middle of a black square."""
    more = [((size - side) // 2, size - side - (size - side) // 2) for side in cut.shape]
    return np.pad(cut, more, constant_values=SPAN[0])


def main() -> None:
    """Make the cases, print the tables, and paint the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders are")
    parser.add_argument("-m", choices=["tf_aug", "tf_gan"], default="tf_aug", help="default: %(default)s")
    parser.add_argument(
        "-preset", choices=["default", "paper", "brief"], default="default", help="default: %(default)s"
    )
    parser.add_argument("-seed", type=int, default=0, help="of the shuffling (default: %(default)s)")
    arguments = parser.parse_args()
    root, called = arguments.root.resolve(), f"{arguments.m}_{arguments.preset}"
    os.environ.setdefault("nnUNet_n_proc_DA", "0")
    dataset = prepared(root)
    hosts, made = make(dataset, arguments.m, arguments.preset)
    real = [case for case in hosts.cohort.training.values() if case.has_tumour()]
    compare(real, made, class_values(dataset))
    paint(root / f"made_{called}.png", real, made)
    shuffle(root / f"sorting_{called}", root / f"sorting_{called}.json", real, made, arguments.seed)
    print(f"{root}: made_{called}.png, sorting_{called}/, sorting_{called}.json")


if __name__ == "__main__":
    main()
