"""Do yardsticks answer to faults, and more to larger ones?

    python -m benchmarks.planted_faults FOLDER -judge TRAINER [-tr TRAINER] [-o docs/results/realism/planted_faults.csv]

FOLDER holds nnU-Net's folders with Dataset531_AfricaSteer, preprocessed by nnUNetPlans_25mm. Real tumours of half of
the patients are spoilt by a known amount and play the made ones; those of the other half are the real ones; eight
splits into halves (fresh judges: the first three). Degree 0 is real against real: its figures are false alarms. Faults:
the map shifted by 2, 5, 10 mm; every class brighter by 1, 2, 3 standard deviations of its mean over patients; detail
taken out by thirds until the classes are flat; the surface hardened by thirds until tissue within 3 mm of it is even on
either side; by thirds copies of one tumour of the other half. The same faults in all training cases of fold 0: what a
voxel classifier that learns from nothing else scores on the validation cases, how many of them the checks of
nnUNetv2_tf_synthesize reject, and what share of spoilt validation tumours a baseline recognises. Writes a table, and a
picture beside it.
"""

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt

from benchmarks.tables import write_rows
from nnunetv2_tf.baseline.checkpoint import Baseline
from nnunetv2_tf.baseline.encoder import Encoder
from nnunetv2_tf.benchmark.metrics import dice
from nnunetv2_tf.dataset.cases import channel_names, raw_cases
from nnunetv2_tf.dataset.folders import VARIABLES, Dataset
from nnunetv2_tf.dataset.folds import Groups, fold_split
from nnunetv2_tf.dataset.label_roles import LabelRoles
from nnunetv2_tf.geometry.grid import sideways_axis
from nnunetv2_tf.io.panels import written_figure
from nnunetv2_tf.quality.examples import Example, example
from nnunetv2_tf.quality.limits import Limits
from nnunetv2_tf.quality.measures import measure
from nnunetv2_tf.quality.recognition import recognised, segmented_around
from nnunetv2_tf.quality.two_samples import Estimate
from nnunetv2_tf.quality.voxel_classifier import Samples, Scan, VoxelClassifier, sampled, voxel_features
from nnunetv2_tf.report.realism import Yardsticks
from nnunetv2_tf.synthesis.acceptance import ready_segmentor
from nnunetv2_tf.working_space.preprocess import Plan
from nnunetv2_tf.working_space.stored import Case

DATASET, PLANS, CONFIGURATION, FOLD = Dataset("Dataset531_AfricaSteer"), "nnUNetPlans_25mm", "3d_fullres", 0
SPLITS, JUDGED, SEED = 8, 3, 0
HEADER = ["fault", "degree", "yardstick", "mean", "least", "greatest"]
NEAR = 3.0  # mm on either side of the surface that a hard edge evens
DEGREES = {
    "shifted map": (2.0, 5.0, 10.0),
    "brighter classes": (1.0, 2.0, 3.0),
    "flat tumour": (1 / 3, 2 / 3, 1.0),
    "hard edge": (1 / 3, 2 / 3, 1.0),
    "copies": (1 / 3, 2 / 3, 1.0),
}


@dataclass(frozen=True)
class Patient:
    """A real case, in memory."""

    name: str
    image: np.ndarray  # (C, Z, Y, X)
    tumour: np.ndarray  # (Z, Y, X)
    organ: np.ndarray  # (Z, Y, X) bool
    spacing: tuple[float, float, float]
    sideways: int

    def as_example(self, real: bool) -> Example:
        """Return what yardsticks see."""
        return example(self.name, real, (self.name,), self.image, self.tumour, self.organ, self.spacing)

    def as_scan(self) -> Scan:
        """Return what the voxel classifier sees."""
        return Scan(self.image, self.tumour, self.organ, self.spacing, self.sideways)


Fault = Callable[[Patient, float, np.random.Generator], Patient]


def shifted(patient: Patient, degree: float, rng: np.random.Generator) -> Patient:
    """Move the map by so many mm along a random axis."""
    axis, sign = int(rng.integers(3)), int(rng.choice([-1, 1]))
    steps = sign * max(1, round(degree / patient.spacing[axis]))
    moved = np.where(patient.organ, np.roll(patient.tumour, steps, axis), 0)
    return replace(patient, tumour=moved if moved.any() else patient.tumour)


def brighter(spread: dict[int, float]) -> Fault:
    """Return the fault that adds so many of the classes' standard deviations."""

    def fault(patient: Patient, degree: float, _: np.random.Generator) -> Patient:
        added = sum(degree * sd * (patient.tumour == value) for value, sd in spread.items())
        return replace(patient, image=(patient.image + added).astype(np.float32))

    return fault


def flat(patient: Patient, degree: float, _: np.random.Generator) -> Patient:
    """Take so much of the detail out of every class."""
    image = patient.image.copy()
    for value in np.unique(patient.tumour[patient.tumour > 0]):
        inside = patient.tumour == value
        image[:, inside] += degree * (image[:, inside].mean(axis=1, keepdims=True) - image[:, inside])
    return replace(patient, image=image)


def hard(patient: Patient, degree: float, _: np.random.Generator) -> Patient:
    """Even out tissue near the surface, on either side, by so much."""
    image, inside = patient.image.copy(), patient.tumour > 0
    depth = [np.asarray(distance_transform_edt(side, sampling=patient.spacing)) for side in (inside, ~inside)]
    for away, side in zip(depth, (inside, ~inside & patient.organ), strict=True):
        near, further = side & (away <= NEAR), side & (away > NEAR) & (away <= 3 * NEAR)
        if near.any() and further.any():
            image[:, near] += degree * (image[:, further].mean(axis=1, keepdims=True) - image[:, near])
    return replace(patient, image=image)


def copied(made: Sequence[Example], source: Example, degree: float, rng: np.random.Generator) -> list[Example]:
    """Replace so large a share of examples by one, with a little noise."""
    number = round(degree * len(made))
    found = []
    for index, one in enumerate(made):
        if index < number:
            noise = np.where(source.organ, rng.normal(0, 0.02, source.image.shape), 0)
            image = (source.image + noise).astype(np.float32)
            one = replace(source, name=one.name, real=False, groups=(*one.groups, *source.groups), image=image)
        found.append(one)
    return found


def main() -> None:
    """Measure, write the table and the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders are")
    parser.add_argument("-judge", required=True, metavar="TRAINER", help="baseline whose encoder looks")
    parser.add_argument("-tr", required=True, metavar="TRAINER", help="baseline that recognises")
    parser.add_argument("-o", type=Path, default=Path("docs/results/realism/planted_faults.csv"))
    arguments = parser.parse_args()
    for variable in VARIABLES:
        os.environ[variable] = str(arguments.root.resolve() / variable)
    rows = []
    for row in _rows(arguments.judge, arguments.tr):
        print("{:18}{:6.2f}  {:26}{:8.3f}  {:8.3f} {:8.3f}".format(*row), flush=True)
        rows.append(row)
        rounded = ([*row[:1], round(row[1], 3), row[2], *(round(value, 4) for value in row[3:])] for row in rows)
        write_rows(HEADER, rounded, arguments.o)
    _paint(rows, arguments.o.with_suffix(".png"))


Row = tuple[str, float, str, float, float, float]


def _rows(judge: str, recogniser: str) -> Iterator[Row]:
    """Yield fault, degree, yardstick, and its mean, least and greatest value."""
    plan = Plan.read(DATASET, PLANS, CONFIGURATION)
    files = raw_cases(DATASET)
    split, groups, roles = fold_split(DATASET, FOLD, list(files)), Groups.read(DATASET), LabelRoles.read(DATASET)
    folder = DATASET.preprocessed / plan.data_identifier
    patients = {name: _read(Case(DATASET, plan, files[name], groups[name], roles, folder)) for name in sorted(files)}
    training, validating = ([patients[name] for name in names] for names in (split.train, split.val))
    faults = _faults(patients.values())
    limits = Limits.of([measure(p.image, p.tumour, p.organ, p.spacing) for p in training])
    baselines = {name: Baseline(DATASET, name, PLANS, CONFIGURATION, FOLD) for name in (judge, recogniser)}
    encoder = Encoder.of(baselines[judge])
    yardsticks = Yardsticks(roles.tumour, channel_names(DATASET), encoder, frozenset(), torch.device("cpu"), SEED)

    def measured(name: str, degree: float) -> Iterator[Row]:
        yield from _realism(yardsticks, list(patients.values()), name, degree, faults)
        if name != "copies":
            spoilt = [_spoilt(patient, name, degree, faults, index) for index, patient in enumerate(training)]
            yield from _usefulness(spoilt, validating, name, degree)
            yield from _checks(limits, spoilt, name, degree)
            seen = [_spoilt(patient, name, degree, faults, index) for index, patient in enumerate(validating)]
            yield _recognition(baselines[recogniser], seen, name, degree, roles.tumour)

    nothing = list(measured("", 0.0))
    for name, degrees in DEGREES.items():
        yield from ((name, *row[1:]) for row in nothing)
        for degree in degrees:
            yield from measured(name, degree)


def _read(case: Case) -> Patient:
    opened = case.open()
    arrays = (opened.image(), opened.tumour(), opened.organ())
    return Patient(case.identifier, *arrays, opened.grid.spacing, sideways_axis(opened.grid.affine))


def _faults(patients) -> dict[str, Fault]:
    means: dict[int, list[float]] = {}
    for patient in patients:
        for value in np.unique(patient.tumour[patient.tumour > 0]).tolist():
            means.setdefault(value, []).append(float(patient.image[0][patient.tumour == value].mean()))
    spread = {value: float(np.std(row)) for value, row in means.items()}
    return {"shifted map": shifted, "brighter classes": brighter(spread), "flat tumour": flat, "hard edge": hard}


def _spoilt(patient: Patient, name: str, degree: float, faults: dict[str, Fault], index: int) -> Patient:
    rng = np.random.default_rng([SEED, index])
    return faults[name](patient, degree, rng) if degree and name in faults else patient


def _realism(
    yardsticks: Yardsticks, patients: Sequence[Patient], name: str, degree: float, faults: dict[str, Fault]
) -> Iterator[Row]:
    values: dict[str, list[float]] = {}
    for split in range(SPLITS):
        order = np.random.default_rng([SEED, split]).permutation(len(patients))
        half = len(patients) // 2
        real = [patients[index].as_example(True) for index in order[:half]]
        made = [_spoilt(patients[index], name, degree, faults, index).as_example(False) for index in order[half:]]
        if name == "copies":
            made = copied(made, real[0], degree, np.random.default_rng([SEED, split]))
        for yardstick, found in _looked_at(yardsticks, [*real, *made], split < JUDGED).items():
            values.setdefault(yardstick, []).append(found.value)
    for yardstick, row in values.items():
        yield (name, degree, yardstick, float(np.nanmean(row)), float(np.nanmin(row)), float(np.nanmax(row)))


def _looked_at(yardsticks: Yardsticks, examples: Sequence[Example], judged: bool) -> dict[str, Estimate]:
    return {**yardsticks.figures(examples, int(judged), resampled=0), **yardsticks.encoded(examples, resampled=0)}


def _usefulness(spoilt: Sequence[Patient], validating: Sequence[Patient], name: str, degree: float) -> Iterator[Row]:
    parts = [sampled(patient.as_scan(), np.random.default_rng([SEED, i])) for i, patient in enumerate(spoilt)]
    model = VoxelClassifier(SEED).fit(Samples.joined(parts))
    scores = []
    for patient in validating:
        scan = patient.as_scan()
        scores.append(dice(model.segmentation(scan, voxel_features(scan)) > 0, scan.label > 0))
    yield (name, degree, "trained on it: Dice of WT", float(np.mean(scores)), min(scores), max(scores))


def _checks(limits: Limits, spoilt: Sequence[Patient], name: str, degree: float) -> Iterator[Row]:
    measured = [measure(patient.image, patient.tumour, patient.organ, patient.spacing) for patient in spoilt]
    channels = channel_names(DATASET)
    for check, objects in (
        ("brightness", [limits.brightness_beyond(one, {}, channels) is not None for one in measured]),
        ("edge", [limits.edge_beyond(one, channels) is not None for one in measured]),
    ):
        share = float(np.mean(objects))
        yield (name, degree, f"rejected by {check}", share, share, share)


def _recognition(baseline: Baseline, seen: Sequence[Patient], name: str, degree: float, values: Sequence[int]) -> Row:
    segmentor, shares = ready_segmentor(baseline, "cpu"), []
    for patient in seen:
        found = segmented_around(segmentor, patient.image, patient.tumour)
        shares.append(recognised(found, patient.tumour, values).tumour)
    return (name, degree, "share recognised", float(np.mean(shares)), min(shares), max(shares))


def _paint(rows: Sequence[Row], path: Path) -> None:
    """Plot every yardstick by degree, a line for each fault."""
    yardsticks = list(dict.fromkeys(row[2] for row in rows))
    columns = 4
    lines = -(-len(yardsticks) // columns)
    with written_figure(path, (lines, columns), (3.2 * columns, 2.5 * lines)) as axes:
        for place, yardstick in zip(axes.ravel(), yardsticks, strict=False):
            for name in DEGREES:
                found = [row for row in rows if row[0] == name and row[2] == yardstick]
                if found:
                    steps = range(len(found))
                    place.plot(steps, [row[3] for row in found], "o-", label=name, markersize=3, linewidth=1.2)
            place.set_title(yardstick, fontsize=9)
            place.set_xticks(range(4), ["none", "1", "2", "3"])
            place.spines[["top", "right"]].set_visible(False)
        for place in axes.ravel()[len(yardsticks) :]:
            place.axis("off")
        axes.ravel()[0].legend(fontsize=6, frameon=False)


if __name__ == "__main__":
    main()
