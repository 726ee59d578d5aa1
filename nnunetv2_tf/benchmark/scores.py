"""Finished trainings scored case by case. In: nnU-Net's validation folders. Out: rows of benchmark.csv."""

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from nnunetv2_tf.benchmark import metrics
from nnunetv2_tf.benchmark.matrix import Matrix, Training
from nnunetv2_tf.cases import dataset_json, raw_cases, refuse_damaged
from nnunetv2_tf.codebase import Codebase, read_codebases
from nnunetv2_tf.errors import UserError
from nnunetv2_tf.folders import Dataset
from nnunetv2_tf.folds import fold_split
from nnunetv2_tf.meaning import read_regions
from nnunetv2_tf.preparation.preprocess import Plan
from nnunetv2_tf.records import from_json, to_json
from nnunetv2_tf.stamps import digest, file_digest
from nnunetv2_tf.work import in_parallel, whole_file, write_json


@dataclass(frozen=True)
class Score:
    """One region of one case, segmented by one training."""

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
    lesions_mm3: tuple[float, ...]  # every true lesion
    lesions_found: tuple[bool, ...]

    @property
    def nnunet_dice(self) -> float:
        """NaN where both are empty, as nnU-Net counts."""
        return self.dice if self.true_mm3 or self.predicted_mm3 else math.nan


@dataclass(frozen=True)
class Row:
    """A score, and what it is of."""

    dataset: str
    fold: int
    seed: int
    arm: str
    case: str
    score: Score
    trainer: str
    code: str  # the commit that trained it, or the version
    matrix: str


@dataclass(frozen=True)
class _Task:
    """One case to score; goes to a worker process."""

    case: str
    prediction: Path
    truth: Path
    reader: type
    regions: Mapping[str, tuple[int, ...]]
    ignore: int | None


def score_training(training: Training, folder: Path, num_processes: int) -> list[Row]:
    """Scores the validation cases of a training, or takes the scores kept from before if nothing changed since."""
    tasks = _tasks(training)
    files = [[task.case, file_digest(task.prediction), file_digest(task.truth)] for task in tasks]
    measured = [file_digest(Path(str(module))) for module in (__file__, metrics.__file__)]
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
    return [Row(*identity, case, score, *origin) for case, several in scores.items() for score in several]


def _kept(path: Path, stamp: str) -> dict[str, list[Score]] | None:
    """Scores kept from before, if they are of the same files, by the same code, and can be read."""
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["stamp"] != stamp:
            return None
        return {case: [from_json(Score, entry) for entry in several] for case, several in content["scores"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def write_scores(rows: Sequence[Row], path: Path, scored_by: Codebase) -> None:
    """Writes benchmark.csv: one line per training, case and region."""
    lists = ("lesions_mm3", "lesions_found")
    numbers = [entry.name for entry in fields(Score) if entry.name not in lists]
    with whole_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        identity = ["dataset", "fold", "seed", "arm", "case"]
        provenance = ["trainer", "code", "matrix"]
        writer.writerow([*identity, *numbers, *lists, *provenance, "scored_by"])
        for row in rows:
            values, score = asdict(row), asdict(row.score)
            joined = [
                " ".join(f"{size:.1f}" for size in score["lesions_mm3"]),
                " ".join(str(int(found)) for found in score["lesions_found"]),
            ]
            shown = [_short(score[name]) for name in numbers]
            origin = [*(values[key] for key in provenance), str(scored_by)]
            writer.writerow([*(values[key] for key in identity), *shown, *joined, *origin])


def code_of(training: Training) -> str:
    """The commits (or versions) that trained it; `+changes` where the checkout was not clean."""
    return " ".join(map(str, read_codebases(training.folder))) or "unknown"


def matrix_rows(rows: Iterable[Row], matrix: Matrix) -> list[Row]:
    """The rows in the order of the matrix."""
    arms = [arm.name for arm in matrix.arms]
    return sorted(rows, key=lambda row: (row.dataset, row.seed, arms.index(row.arm), row.fold, row.case))


def _short(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value


def _tasks(training: Training) -> list[_Task]:
    dataset, description = training.dataset, dataset_json(training.dataset)
    plan = Plan.read(dataset, training.matrix.plans, training.matrix.configuration)
    ending = description["file_ending"]
    reader: Any = plan.plans_manager.image_reader_writer_class
    folder = training.folder / "validation"
    segmented = {path.name.removesuffix(ending) for path in folder.glob(f"*{ending}")}
    validating = set(fold_split(dataset, training.fold, raw_cases(dataset)).val)
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
    """A label map (1, Z, Y, X) and its properties, by nnU-Net's own reader."""
    refuse_damaged(path)
    return reader().read_seg(str(path))


def score_region(name: str, prediction: np.ndarray, truth: np.ndarray, spacing: Sequence[float]) -> Score:
    """All metrics of one region: masks (Z, Y, X) bool, spacing in mm."""
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
        lesions_found=tuple(found for _, found in sizes),
    )
