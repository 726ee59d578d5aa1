"""Verification of a finished benchmark. In: a matrix and its results. Out: sentences about what is wrong."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nnunetv2_tf.baseline.checkpoint import RECORD, read_checkpoint
from nnunetv2_tf.benchmark.matrix import AGAIN, Matrix, Training
from nnunetv2_tf.benchmark.postprocessing import Postprocessing
from nnunetv2_tf.benchmark.scores import code_of, read_segmentation
from nnunetv2_tf.dataset.cases import dataset_json, raw_cases
from nnunetv2_tf.dataset.code_version import read_code_versions
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.folds import Groups, Split
from nnunetv2_tf.io.digests import file_digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json
from nnunetv2_tf.io.json_dataclass import read_record, to_json
from nnunetv2_tf.sets.enrichment import ONLINE_PERCENT, Enrichment
from nnunetv2_tf.synthesis.set_config import CURE, SetConfig
from nnunetv2_tf.working_space.preprocess import Plan

CHANGED = "+changes"


def problems(matrix: Matrix) -> Iterator[str]:
    """Yield sentences about all that makes a comparison unfair, or its origin unknown."""
    codes: dict[str, str] = {}
    packages: dict[str, dict[str, str]] = {}  # which training, the first of all, used which version
    weights: dict[str, str] = {}
    made_by: dict[tuple[str, int, str], str] = {}
    for training in matrix.trainings():
        if training.state != "done":
            yield f"{training.key} is not trained yet ({training.state})"
            continue
        try:
            codes.setdefault(code_of(training), training.key)
            for entry in read_code_versions(training.folder):
                for package, version in entry.packages.items():
                    packages.setdefault(package, {}).setdefault(version, training.key)
            checkpoint = read_checkpoint(_checkpoint(training), AGAIN, can_trust=False)
            yield from (f"{training.key}: {sentence}" for sentence in _of_training(training, checkpoint))
            if training.arm.online:
                made = str((_record(checkpoint).get("enrichment") or {}).get("hash"))
                if made != made_by.setdefault((training.dataset.name, training.fold, training.arm.name), made):
                    yield f"{training.key}: its cases were made of, or by, something else than with another seed"
        except UserError as error:
            yield f"{training.key}: {error}"
        same = weights.setdefault(file_digest(_checkpoint(training)), training.key)
        if same != training.key:
            yield f"{training.key}: its checkpoint is a copy of that of {same}"
    for package, versions in packages.items():
        if len(versions) > 1:
            used = "; ".join(f"{version} ({key}, ...)" for version, key in versions.items())
            yield f"trainings used different versions of {package}: {used}"
    if len(codes) > 1:
        yield "trainings come from different code: " + "; ".join(f"{code} ({key}, ...)" for code, key in codes.items())


def _record(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    return checkpoint.get(RECORD) or {}


def _of_training(training: Training, checkpoint: Mapping[str, Any]) -> Iterator[str]:
    if checkpoint["current_epoch"] != training.matrix.epochs:
        yield f"it trained for {checkpoint['current_epoch']} epochs, not {training.matrix.epochs}"
    yield from _origin(training)
    yield from _plans(training, checkpoint["init_args"])
    split = training.split
    record = _record(checkpoint)
    if record.get("split") != split.digest:
        yield "it trained and validated on other cases than splits_final.json has now"
    yield from _validation(training, split)
    yield from _postprocessing(training, split)
    yield from _enrichment(training, split, record.get("enrichment"))


def _origin(training: Training) -> Iterator[str]:
    entries = read_code_versions(training.folder)
    if not entries:
        yield "nobody noted which code trained it"
    codes = {str(entry) for entry in entries}
    if len(codes) > 1:
        yield f"it was trained by {len(codes)} versions of the code one after another"
    for entry in entries:
        if not entry.clean:
            yield f"it was trained by a changed checkout ({', '.join(entry.changed[:3])})"


def _plans(training: Training, used: Mapping[str, Any]) -> Iterator[str]:
    """Compare the plans and dataset.json that the model was trained with to those of now; yield differences."""
    plan = Plan.read(training.dataset, training.matrix.plans, training.matrix.configuration)
    plans = {key: value for key, value in used["plans"].items() if key != "continue_training"}
    if to_json(plans) != plan.plans:
        yield f"{training.matrix.plans} has changed since it was trained"
    keys = ("channel_names", "labels", "regions_class_order")
    if any(used["dataset_json"].get(key) != plan.dataset_json.get(key) for key in keys):
        yield "channels or labels in dataset.json have changed since it was trained"


def _validation(training: Training, split: Split) -> Iterator[str]:
    """Yield a problem when segmentations are not of the fold's cases, or not those that nnU-Net scored."""
    description = dataset_json(training.dataset)
    ending, ignore = description["file_ending"], "ignore" in description["labels"]
    plan = Plan.read(training.dataset, training.matrix.plans, training.matrix.configuration)
    folder = training.folder / "validation"
    summary = read_json(folder / "summary.json", AGAIN)
    try:
        scored = {_name(case["prediction_file"], ending): case["metrics"] for case in summary["metric_per_case"]}
    except (KeyError, TypeError):
        raise UserError(f"{folder / 'summary.json'} is not nnU-Net's; {AGAIN}") from None
    if set(scored) != set(split.val):
        yield "its validation folder does not hold the cases of the fold"
        return
    reader: Any = plan.plans_manager.image_reader_writer_class
    for case, metrics in scored.items():
        segmentation, _ = read_segmentation(reader, folder / f"{case}{ending}")
        classes = [key for key in metrics if key.isdigit()]  # regions have keys like (1, 2)
        if not ignore and any(metrics[key]["n_pred"] != np.sum(segmentation == int(key)) for key in classes):
            yield f"the segmentation of {case} is not the one that nnU-Net scored"


def _postprocessing(training: Training, split: Split) -> Iterator[str]:
    """Yield a problem when the postprocessing was chosen on other cases than those that trained."""
    if training.matrix.postprocessing == "none":
        return
    done = Postprocessing(training)
    if done.state != "done":
        yield "its segmentations are not postprocessed yet"
    elif set(done.chosen_on) != set(split.train):
        yield "its postprocessing was not chosen on the cases that it trained on"


def _enrichment(training: Training, split: Split, used: dict[str, Any] | None) -> Iterator[str]:
    """Yield a problem when the synthetic cases are not those of the arm and seed, or have changed since."""
    if training.arm.online:
        yield from _online(training, split, used)
        return
    if training.set_name is None:
        if used is not None:
            yield f"it trained with synthetic cases ({used}), and should have real cases only"
        return
    enrichment = Enrichment.choose(training.dataset, training.fold, training.options)
    expected = to_json(enrichment.record(len(split.train), training.arm.percent))
    if used != expected:
        yield f"it trained with other synthetic cases ({used}) than set {training.set_name} holds now ({expected})"
    enrichment.check_no_leaks(split, Groups.read(training.dataset), raw_cases(training.dataset))
    order = read_record(SetConfig, enrichment.part.config_path, CURE)
    made = (order.method, order.preset, order.seed)
    if made != (training.arm.method, training.arm.preset, training.seed):
        yield f"its set was made by method, preset and seed {made}"
    if any(sidecar.versions.get("code", "").endswith(CHANGED) for sidecar in enrichment.sidecars):
        yield "its set was made by a changed checkout"


def _online(training: Training, split: Split, used: dict[str, Any] | None) -> Iterator[str]:
    """Yield a problem when new cases were not those of the arm. That they leak nothing, the trainer has checked."""
    arm = training.arm
    healthy = None if arm.healthy is None else Dataset.find(str(arm.healthy)).name
    expected = {
        "method": arm.method, "preset": arm.preset, "healthy": healthy, "fold": training.fold,
        "num_real": len(split.train), "percent": arm.percent or ONLINE_PERCENT,
    }  # fmt: skip
    made = {key: (used or {}).get(key) for key in expected}
    if made != expected:
        yield f"it made other cases while it trained ({made}) than the arm says ({expected})"


def _checkpoint(training: Training) -> Path:
    return training.folder / "checkpoint_final.pth"


def _name(file: str, ending: str) -> str:
    return str(file).replace("\\", "/").rpartition("/")[2].removesuffix(ending)
