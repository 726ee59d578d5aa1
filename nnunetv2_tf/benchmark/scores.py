"""Finished trainings scored case by case. In: nnU-Net's validation folders. Out: rows of benchmark.csv."""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from nnunetv2_tf.benchmark import metrics
from nnunetv2_tf.benchmark.matrix import Matrix, Training
from nnunetv2_tf.cases import dataset_json
from nnunetv2_tf.codebase import noted_codebases
from nnunetv2_tf.errors import UserError
from nnunetv2_tf.folders import Dataset
from nnunetv2_tf.meaning import regions
from nnunetv2_tf.preparation.preprocess import Plan
from nnunetv2_tf.records import from_json, to_json
from nnunetv2_tf.stamps import digest, file_digest
from nnunetv2_tf.work import in_parallel, read_json, whole_file, write_json

VERSION = 1  # of what is measured; scores kept from another one are made anew


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
    described = [[task.case, file_digest(task.prediction), file_digest(task.truth)] for task in tasks]
    stamp = digest([VERSION, described, to_json(dict(regions(dataset_json(training.dataset))))])
    kept = folder / f"{training.key}.json"
    if kept.exists():
        content = read_json(kept, "delete it and collect again.")
        if content["stamp"] == stamp:
            return _rows(training, content["scores"])
    description = f"Scoring {training.arm.name}, fold {training.fold}, seed {training.seed}"
    scored = in_parallel(_score, tasks, num_processes, description)
    scores = {task.case: to_json(result) for task, result in zip(tasks, scored, strict=True)}
    write_json(kept, {"stamp": stamp, "scores": scores})
    return _rows(training, scores)


def write_scores(rows: Sequence[Row], path: Path) -> None:
    """Writes benchmark.csv: one line per training, case and region."""
    lists = ("lesions_mm3", "lesions_found")
    numbers = [entry.name for entry in fields(Score) if entry.name not in lists]
    with whole_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        identity = ["dataset", "fold", "seed", "arm", "case"]
        provenance = ["trainer", "code", "matrix"]
        writer.writerow([*identity, *numbers, *lists, *provenance])
        for row in rows:
            values, score = asdict(row), asdict(row.score)
            joined = [
                " ".join(f"{size:.1f}" for size in score["lesions_mm3"]),
                " ".join(str(int(found)) for found in score["lesions_found"]),
            ]
            shown = [_short(score[name]) for name in numbers]
            writer.writerow([values[key] for key in identity] + shown + joined + [values[key] for key in provenance])


def code_of(training: Training) -> str:
    """The commits (or versions) that trained it; `+changes` where the checkout was not clean."""
    names = [
        (entry.commit or f"version {entry.version}") + ("" if entry.clean else "+changes")
        for entry in noted_codebases(training.folder)
    ]
    return " ".join(names) or "unknown"


def matrix_rows(rows: Iterable[Row], matrix: Matrix) -> list[Row]:
    """The rows in the order of the matrix."""
    arms = [arm.name for arm in matrix.arms]
    return sorted(rows, key=lambda row: (row.dataset, row.seed, arms.index(row.arm), row.fold, row.case))


def _short(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value


def _rows(training: Training, scores: Mapping[str, Any]) -> list[Row]:
    identity = (training.dataset.name, int(training.fold), training.seed, training.arm.name)
    origin = (training.trainer, code_of(training), training.matrix.hash)
    return [
        Row(*identity, case, from_json(Score, entry), *origin) for case, entries in scores.items() for entry in entries
    ]


def _tasks(training: Training) -> list[_Task]:
    dataset, description = training.dataset, dataset_json(training.dataset)
    plan = Plan.read(dataset, training.matrix.plans, training.matrix.configuration)
    ending = description["file_ending"]
    reader: Any = plan.plans_manager.image_reader_writer_class
    found = sorted((training.folder / "validation").glob(f"*{ending}"))
    if not found:
        raise UserError(f"{training.folder / 'validation'} holds no segmentation; delete the folder and run again.")
    return [
        _Task(
            path.name.removesuffix(ending), path, _truth(dataset, path.name), reader,
            regions(description), description["labels"].get("ignore"),
        )
        for path in found
    ]  # fmt: skip


def _truth(dataset: Dataset, name: str) -> Path:
    path = dataset.preprocessed / "gt_segmentations" / name
    if not path.exists():
        raise UserError(f"{path} does not exist; run nnUNetv2_preprocess for {dataset.name} again.")
    return path


def _score(task: _Task) -> list[Score]:
    reader = task.reader()
    prediction, _ = reader.read_seg(str(task.prediction))
    truth, properties = reader.read_seg(str(task.truth))
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
