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
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks.africa import ALL_PLANS
from benchmarks.commands import show
from benchmarks.healthy_cohort import NUMBER
from benchmarks.real_training import BASELINE
from benchmarks.tf_aug_real import FOLD, hosts_of, prepared
from nnunetv2_tf.folders import Dataset
from nnunetv2_tf.meaning import class_values
from nnunetv2_tf.methods.lookup import find_method
from nnunetv2_tf.methods.tf_aug.fitting import FINAL, Fitted
from nnunetv2_tf.panels import Panel, write_panels
from nnunetv2_tf.preparation.stored import Case
from nnunetv2_tf.quality.boundary import boundary_gradient
from nnunetv2_tf.records import read_record
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.synthesis.fits import fit_folder
from nnunetv2_tf.synthesis.harmonise import Z_SCORED, Looks, harmonise
from nnunetv2_tf.synthesis.hosts import HealthyHosts
from nnunetv2_tf.synthesis.run import Run
from nnunetv2_tf.work import write_json

CASES, SHOWN = 24, 12
BOUNDARY = (0.7, 1.4)
SPAN = (-3.0, 3.0)  # of z, black and white


@dataclass(frozen=True)
class Made:
    """A finished case beside its host."""

    case: Case
    host: Case
    harmonised: np.ndarray  # (Z, Y, X)


def make(dataset: Dataset, name: str, preset: str) -> tuple[HealthyHosts, list[Made]]:
    """Fits and synthesizes by the commands, and reads what came out."""
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
        fitted = read_record(Fitted, fit_folder(dataset, hosts.plan, FOLD, method, hosts.healthy) / FINAL, "fit again.")
        for index, called in enumerate(fitted.names):
            print(f"{called}: a {fitted.a[index][0]:.3f}, b {fitted.b[index][0]:+.3f}")
    run = Run(part, hosts.plan, method, hosts, None, CASES, None, 1)
    return hosts, [_made(run, hosts, line) for line in run.lines()]


def _made(run: Run, hosts: HealthyHosts, line) -> Made:
    host, case = replace(hosts.cases[line.host]), run.made_case(line)
    image = host.image()
    told = run.part.sidecar(case.identifier).controls.get("harmonised")
    if told is not None:
        image = harmonise(image, host.organ(), Looks.of(replace(hosts.training[told["to"]])), [Z_SCORED]).image
    return Made(case, host, image[0])


def compare(real: Sequence[Case], made: Sequence[Made], classes: dict[str, int]) -> None:
    """Prints the tables."""
    print("\n| class | real: mean | made: mean | real: sd | made: sd |\n" + "|---" * 5 + "|")
    theirs, ours = ([_moments(case, classes) for case in cases] for cases in (real, [one.case for one in made]))
    for index, name in enumerate(classes):
        columns = []
        for which in (0, 1):
            columns += [f"{np.nanmedian([one[index][which] for one in rows]):.2f}" for rows in (theirs, ours)]
        print(f"| {name} | {' | '.join(columns)} |")
    gradients = [
        [
            boundary_gradient(case.image()[0], case.tumour(), case.organ(), case.grid.spacing)
            for case in map(replace, cases)
        ]
        for cases in (real, [one.case for one in made])
    ]
    medians = [float(np.nanmedian(several)) for several in gradients]
    ratio = medians[1] / medians[0]
    print(
        f"gradient at the surface: real {medians[0]:.3f}, made {medians[1]:.3f} sd per mm, ratio of medians "
        f"{ratio:.2f}; within {BOUNDARY[0]} and {BOUNDARY[1]}: {BOUNDARY[0] <= ratio <= BOUNDARY[1]}"
    )


def _moments(case: Case, classes: dict[str, int]) -> list[tuple[float, float]]:
    case = replace(case)
    image, tumour = case.image()[0], case.tumour()
    inside = [image[tumour == value] for value in classes.values()]
    return [(float(v.mean()), float(v.std())) if len(v) > 1 else (np.nan, np.nan) for v in inside]


def paint(path: Path, real: Sequence[Case], made: Sequence[Made]) -> None:
    """Host, harmonised, made, made with its map, and a real case of similar volume."""
    volumes = np.array([(replace(case).tumour() > 0).sum() for case in real])
    rows = []
    for one in made[:SHOWN]:
        case, host = replace(one.case), replace(one.host)
        tumour, organ = case.tumour(), case.organ()
        like = replace(real[int(np.abs(np.log(volumes / (tumour > 0).sum())).argmin())])
        cut = int((tumour > 0).sum(axis=(1, 2)).argmax())
        own = [
            np.where(organ, image, SPAN[0])[cut, ::-1] for image in (host.image()[0], one.harmonised, case.image()[0])
        ]
        titles = (host.identifier, "harmonised", "made")
        row = [Panel(image, SPAN, None, title) for image, title in zip(own, titles, strict=True)]
        row.append(Panel(own[2], SPAN, tumour[cut, ::-1]))
        there = like.tumour()
        cut = int((there > 0).sum(axis=(1, 2)).argmax())
        row.append(Panel(np.where(like.organ(), like.image()[0], SPAN[0])[cut, ::-1], SPAN, None, like.identifier))
        rows.append(row)
    write_panels(rows, path, inches=2.2)


def shuffle(folder: Path, answers: Path, real: Sequence[Case], made: Sequence[Made], seed: int) -> None:
    """Pictures of half real and half made cases, by number only: three cuts through where a tumour is largest."""
    rng = np.random.default_rng(seed)
    chosen = [(case, "real") for case in rng.permutation(np.array(real, dtype=object))[:SHOWN]]
    chosen += [(one.case, "made") for one in made[:SHOWN]]
    shutil.rmtree(folder, ignore_errors=True)
    key = {}
    for number, index in enumerate(rng.permutation(len(chosen)), start=1):
        case, kind = chosen[index]
        case = replace(case)
        tumour, image = case.tumour(), np.where(case.organ(), case.image()[0], SPAN[0])
        z, y, x = (int((tumour > 0).sum(axis=others).argmax()) for others in ((1, 2), (0, 2), (0, 1)))
        cuts = (image[z, ::-1], image[::-1, y], image[::-1, :, x])
        size = max(max(cut.shape) for cut in cuts)
        write_panels([[Panel(_square(cut, size), SPAN) for cut in cuts]], folder / f"{number:02d}.png", inches=4.0)
        key[f"{number:02d}"] = {"kind": kind, "case": case.identifier}
    write_json(answers, key)


def _square(cut: np.ndarray, size: int) -> np.ndarray:
    more = [((size - side) // 2, size - side - (size - side) // 2) for side in cut.shape]
    return np.pad(cut, more, constant_values=SPAN[0])


def main() -> None:
    """All of it."""
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
    real = [case for case in hosts.training.values() if case.has_tumour()]
    compare(real, made, class_values(dataset))
    paint(root / f"made_{called}.png", real, made)
    shuffle(root / f"sorting_{called}", root / f"sorting_{called}.json", real, made, arguments.seed)
    print(f"{root}: made_{called}.png, sorting_{called}/, sorting_{called}.json")


if __name__ == "__main__":
    main()
