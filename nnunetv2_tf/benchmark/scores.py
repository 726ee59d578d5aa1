"""Scores of finished trainings, case by case. In: nnU-Net's validation folders. Out: rows of benchmark.csv."""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnunetv2_tf.benchmark import metrics
from nnunetv2_tf.benchmark.brats_2026 import brats_2026
from nnunetv2_tf.benchmark.matrix import Training
from nnunetv2_tf.dataset.cases import dataset_json
from nnunetv2_tf.dataset.code_version import read_code_versions
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.label_roles import read_regions
from nnunetv2_tf.dataset.volumes import check_intact
from nnunetv2_tf.io.digests import digest, file_digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import write_json
from nnunetv2_tf.io.json_dataclass import from_json, to_json
from nnunetv2_tf.io.parallel import in_parallel
from nnunetv2_tf.working_space.preprocess import Plan


@dataclass(frozen=True)
class Score:
    """The metrics of one region in one case, as one training segmented it."""

    region: str
    dice: float  # 1 where both are empty
    hd95: float  # mm
    nsd: float
    lesion_dice: float
    lesion_hd95: float
    lesions_missed: int
    lesions_false: int
    true_mm3: float
    predicted_mm3: float
    lesions_mm3: tuple[float, ...]  # volume of every true lesion
    lesions_found: tuple[bool, ...]  # of these, whether the prediction overlaps them
    hd95_2026: float | None = None  # mm; this and what follows by BraTS 2026, None where both are empty
    nsd_2026: float | None = None
    lesion_dice_2026: float | None = None
    lesion_hd95_2026: float | None = None
    lesion_nsd_2026: float | None = None
    lesion_f1_2026: float | None = None

    @property
    def nnunet_dice(self) -> float:
        """The Dice as nnU-Net reports it: NaN where truth and prediction are empty."""
        return self.dice if self.true_mm3 or self.predicted_mm3 else math.nan


@dataclass(frozen=True)
class Row:
    """A score, and the training and case that it belongs to."""

    dataset: str
    fold: int
    seed: int
    arm: str
    case: str
    score: Score
    trainer: str
    code: str  # the commit that trained it, or the version
    matrix: str
    train_cases: int | None = None  # labelled cases that it trained on, where the matrix says how many; else all
    draw: int | None = None  # which draw of so many


@dataclass(frozen=True)
class _Task:
    """One case to score; it is sent to a worker process."""

    case: str
    prediction: Path
    truth: Path
    reader: type
    regions: Mapping[str, tuple[int, ...]]
    ignore: int | None


def score_training(training: Training, folder: Path, num_processes: int) -> list[Row]:
    """Score the validation cases of a training, or read the scores kept from before if nothing changed since."""
    tasks = _tasks(training)
    files = [[task.case, file_digest(task.prediction), file_digest(task.truth)] for task in tasks]
    modules = (__file__, metrics.__file__, sys.modules[brats_2026.__module__].__file__)
    measured = [file_digest(Path(str(module))) for module in modules]
    stamp = digest([measured, files, to_json(dict(tasks[0].regions)), tasks[0].ignore])
    kept = folder / f"{training.key}.json"
    scores = _kept(kept, stamp)
    if scores is None:
        description = f"Scoring {training.arm.name}, fold {training.fold}, seed {training.seed}"
        scored = in_parallel(_score, tasks, num_processes, description)
        scores = {task.case: result for task, result in zip(tasks, scored, strict=True)}
        write_json(kept, {"stamp": stamp, "scores": {case: to_json(result) for case, result in scores.items()}})
    identity = (training.dataset.name, training.fold, training.seed, training.arm.name)
    origin = (training.trainer, code_of(training), training.matrix.hash)
    few = (training.use.train_cases, training.use.draw)
    return [Row(*identity, case, score, *origin, *few) for case, of_case in scores.items() for score in of_case]


def _kept(path: Path, stamp: str) -> dict[str, list[Score]] | None:
    """Return the scores kept from before; None if files or code have changed since, or they cannot be read."""
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["stamp"] != stamp:
            return None
        return {case: [from_json(Score, entry) for entry in entries] for case, entries in content["scores"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def code_of(training: Training) -> str:
    """Return the commits (or versions) that trained it, with `+changes` where the checkout was not clean."""
    return " ".join(dict.fromkeys(map(str, read_code_versions(training.folder)))) or "unknown"


def _tasks(training: Training) -> list[_Task]:
    dataset, description = training.dataset, dataset_json(training.dataset)
    plan = Plan.read(dataset, training.matrix.plans, training.matrix.configuration)
    ending = description["file_ending"]
    reader: Any = plan.plans_manager.image_reader_writer_class
    folder = training.segmentations
    segmented = {path.name.removesuffix(ending) for path in folder.glob(f"*{ending}")}
    validating = set(training.split.val)
    if segmented != validating:
        odd = min(segmented ^ validating)
        raise UserError(
            f"{folder} does not hold the segmentations of the fold's validation cases (first: {odd}); the split "
            "changed since, or somebody changed the folder; delete the training's folder and run again."
        )
    return [
        _Task(
            case, folder / f"{case}{ending}", _truth(dataset, f"{case}{ending}"), reader,
            read_regions(dataset), description["labels"].get("ignore"),
        )
        for case in sorted(segmented)
    ]  # fmt: skip


def _truth(dataset: Dataset, name: str) -> Path:
    path = dataset.preprocessed / "gt_segmentations" / name
    if not path.exists():
        raise UserError(f"{path} does not exist; run nnUNetv2_preprocess for {dataset.name} again.")
    return path


def _score(task: _Task) -> list[Score]:
    prediction, _ = read_segmentation(task.reader, task.prediction)
    truth, properties = read_segmentation(task.reader, task.truth)
    if prediction.shape != truth.shape:
        raise UserError(
            f"{task.prediction} has {prediction.shape[1:]} voxels and its truth {truth.shape[1:]}; the model was "
            "validated on other scans, delete its result folder and train it anew."
        )
    counts = np.ones(truth[0].shape, bool) if task.ignore is None else truth[0] != task.ignore
    spacing = tuple(float(size) for size in properties["spacing"])
    return [
        score_region(name, np.isin(prediction[0], values) & counts, np.isin(truth[0], values) & counts, spacing)
        for name, values in task.regions.items()
    ]


def read_segmentation(reader: type, path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    """Read a label map (1, Z, Y, X) and its properties with nnU-Net's reader."""
    check_intact(path)
    return reader().read_seg(str(path))


def score_region(name: str, prediction: np.ndarray, truth: np.ndarray, spacing: Sequence[float]) -> Score:
    """Return all metrics of one region. Masks are (Z, Y, X) bool, spacing is in mm."""
    voxel = float(np.prod(spacing))
    lesions = metrics.lesion_wise(prediction, truth, spacing)
    sizes = metrics.lesions_found(prediction, truth, spacing)
    return Score(
        region=name,
        dice=metrics.dice(prediction, truth),
        hd95=metrics.hd95(prediction, truth, spacing),
        nsd=metrics.nsd(prediction, truth, spacing),
        lesion_dice=lesions.dice,
        lesion_hd95=lesions.hd95,
        lesions_missed=lesions.missed,
        lesions_false=lesions.false,
        true_mm3=float(truth.sum()) * voxel,
        predicted_mm3=float(prediction.sum()) * voxel,
        lesions_mm3=tuple(size for size, _ in sizes),
        lesions_found=tuple(hit for _, hit in sizes),
        **asdict(brats_2026(prediction, truth, spacing)),
    )
