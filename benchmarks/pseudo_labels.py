"""How much of what a baseline labels by itself is tumour? On real scans and on stand-ins whose labels were hidden.

    python -m benchmarks.pseudo_labels FOLDER [-f 0 1 2] [--train]
    python -m benchmarks.pseudo_labels FOLDER --standins

Real scans: in each of the three folds of Dataset531, four of the twelve training cases are converted anew without their
labels, a baseline is trained on the other eight (--train does no more than that), and nnUNetv2_tf_sets --pseudolabel
has it label the four. Stand-ins: twenty patients besides those of benchmarks.tf_gan_learns, in its FOLDER.

All components of at least 1 ml (stand-ins, whose brains are 4 cm: 0.1 ml) are labelled, and held against the truth;
those that the usual rules take, and those that they leave, are pooled over folds. Precision is the share of voxels that
are tumour, and of each class's that are of it. Under ten components nothing is claimed.
"""

import argparse
import csv
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from benchmarks import hidden_standins
from benchmarks.africa import ALL_PLANS, STEERING, STEERING_FOLDS, prepare_hidden
from benchmarks.commands import enter, run
from benchmarks.tf_gan_learns import PLANS, REAL, TRAINED
from nnunetv2_tf.baseline.checkpoint import Baseline
from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.quality.pseudo_labels import ComponentRules
from nnunetv2_tf.synthesis.pseudo_donors import pseudo_folder
from nnunetv2_tf.tumours.bank import EVERYWHERE

TRAINER = "TFBaselineTrainer_4epochs_seed0_bf16"
SIZES = (0.1, 1, 10, 50, 1000)  # ml
LEAST, LEAST_OF_STANDINS = 1.0, 0.1  # ml
CLASSES = {1: "NCR", 2: "ED", 3: "ET"}
APART = 0.2  # of a component's volume: grids may differ by so much
FEW = 10  # components: with fewer, nothing is claimed
USUAL = ComponentRules()


@dataclass(frozen=True)
class Held:
    """A component, held against the truth."""

    scan: str
    volume_ml: float
    confidence: float
    recognised: float
    true: float  # share of its voxels that are tumour
    of_class: dict[int, tuple[int, int]]  # by class: voxels, and those that are of it

    @property
    def taken(self) -> bool:
        """Whether the usual rules take it."""
        return self.confidence >= USUAL.confidence and USUAL.keeps(self.recognised)


def train(root: Path, folds: Sequence[int]) -> list[tuple[Baseline, Dataset]]:
    """Prepare what is missing, and train the folds' baselines without the hidden cases."""
    jobs = []
    for fold in folds:
        labelled, unlabelled = prepare_hidden(root, fold)
        baseline = Baseline(labelled, TRAINER, ALL_PLANS, "3d_fullres", 0)
        if not baseline.path.exists():
            options = ["-tr", TRAINER, "-p", ALL_PLANS, "-device", "cpu", "--c"]
            run("nnUNetv2_train", labelled.number, "3d_fullres", "0", *options, nnUNet_n_proc_DA="0")
        print(f"fold {fold}: {labelled.name} is trained", flush=True)
        jobs.append((baseline, unlabelled))
    return jobs


def held(baseline: Baseline, unlabelled: Dataset, truth: Mapping[str, Path], least: float) -> list[Held]:
    """Label scans, and hold all components of at least so many ml against the truth."""
    rules = ["-min_ml", f"{least:g}", "-confidence", "0", "-keep", "0", "1"]
    model = ["-f", str(baseline.fold), "-tr", baseline.trainer, "-p", baseline.plans, "-c", baseline.configuration]
    run("nnUNetv2_tf_sets", "-d", baseline.dataset.number, "--pseudolabel", unlabelled.number, *model, *rules)
    folder = pseudo_folder(baseline, unlabelled)
    with (folder / "components.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["taken"] == "1"]
    return [_against_truth(row, folder, truth[row["scan"]]) for row in rows]


def _against_truth(row: dict[str, str], folder: Path, truth: Path) -> Held:
    """Find a component in its scan's label, as the one whose centre is nearest, and look at what is true there."""
    name = f"{row['scan']}.nii.gz"
    image = sitk.ReadImage(str(folder / name))
    label, true = (sitk.GetArrayFromImage(one) for one in (image, sitk.ReadImage(str(truth))))
    pieces = np.zeros(label.shape, np.int32)
    ndimage.label(np.isin(label, list(CLASSES)), EVERYWHERE, output=pieces)
    centres = ndimage.center_of_mass(pieces > 0, pieces, range(1, int(pieces.max()) + 1))
    wanted = [float(row[axis]) for axis in "xyz"]
    places = [image.TransformContinuousIndexToPhysicalPoint(centre[::-1]) for centre in centres]
    away = [float(np.linalg.norm(np.subtract(place, wanted))) for place in places]
    inside = pieces == int(np.argmin(away)) + 1
    found, told = float(inside.sum()) * float(np.prod(image.GetSpacing())) / 1000, float(row["volume_ml"])
    if abs(found - told) > APART * told:
        raise RuntimeError(f"{name}: the component of {told} ml has {found} ml on the scan's own grid; it has merged")
    of_class = {
        value: (int((inside & (label == value)).sum()), int((inside & (label == value) & (true == value)).sum()))
        for value in CLASSES
    }
    figures = (float(row["volume_ml"]), float(row["confidence"]), float(row["recognised"]))
    return Held(row["scan"], *figures, float((true[inside] > 0).mean()), of_class)


def summary(name: str, components: Sequence[Held]) -> Iterable[str]:
    """Say how precise components are: all, by size, and by class."""
    if not components:
        yield f"{name}: none"
        return
    claimed = "" if len(components) >= FEW else ", fewer than ten, so nothing is claimed"
    volumes = np.array([one.volume_ml for one in components])
    true = np.array([one.true for one in components])
    precision = np.average(true, weights=volumes)
    yield (
        f"{name}: {len(components)} components, {volumes.sum():.1f} ml; precision {precision:.2f} of voxels, "
        f"{(true > 0.5).mean():.2f} of components{claimed}"
    )
    for low, high in pairwise(SIZES):
        there = (volumes >= low) & (volumes < high)
        if there.any():
            precision = np.average(true[there], weights=volumes[there])
            yield f"    {low:g} to {high:g} ml: {there.sum()} components, {precision:.2f}"
    for value, called in CLASSES.items():
        voxels, right = np.sum([one.of_class[value] for one in components], axis=0)
        if voxels:
            yield f"    {called}: {right / voxels:.2f} of its voxels"


def main() -> int:
    """Label what is missing, and print how precise it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders are, as the benchmarks named above make them")
    parser.add_argument("-f", type=int, nargs="+", default=list(range(STEERING_FOLDS)), help="folds (default: all)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--train", action="store_true", help="only train the baselines")
    what.add_argument("--standins", action="store_true", help="stand-ins instead of real scans")
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    if arguments.standins:
        enter(root)
        unlabelled = hidden_standins.prepare_hidden(root)
        baseline = Baseline(REAL, TRAINED, PLANS, "3d_fullres", 0)
        truth = {path.name.removesuffix(".nii.gz"): path for path in hidden_standins.truth_of(root).iterdir()}
        found = held(baseline, unlabelled, truth, LEAST_OF_STANDINS)
    else:
        jobs, found = train(root, arguments.f), []
        truth = {name: case.label for name, case in raw_cases(Dataset(STEERING)).items()}
        for baseline, unlabelled in () if arguments.train else jobs:
            found += held(baseline, unlabelled, truth, LEAST)
        if arguments.train:
            return 0
    for one in found:
        print(
            f"{one.scan}: {one.volume_ml:.1f} ml, probability {one.confidence:.2f}, recognised {one.recognised:.2f}, "
            f"{'taken' if one.taken else 'left'}; {one.true:.2f} of it is tumour"
        )
    for name, taken in (("taken", True), ("left", False)):
        print("\n".join(summary(name, [one for one in found if one.taken is taken])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
