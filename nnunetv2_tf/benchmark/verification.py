"""Is a benchmark what it says? In: a matrix and its results. Out: sentences about what is wrong."""

from collections.abc import Iterator
from typing import Any

from nnunetv2_tf.benchmark.matrix import Matrix, Training
from nnunetv2_tf.benchmark.scores import code_of
from nnunetv2_tf.cases import dataset_json, raw_cases
from nnunetv2_tf.codebase import noted_codebases
from nnunetv2_tf.errors import UserError
from nnunetv2_tf.folds import Groups, Split, fold_split
from nnunetv2_tf.records import read_record, to_json
from nnunetv2_tf.sets.enrichment import Enrichment
from nnunetv2_tf.synthesis.order import CURE, Order
from nnunetv2_tf.work import read_json


def problems(matrix: Matrix) -> Iterator[str]:
    """All that would make a comparison unfair, or its origin unknown."""
    codes = {}
    for training in matrix.trainings():
        if training.state != "done":
            yield f"{training.key} is not trained yet ({training.state})"
            continue
        codes.setdefault(code_of(training), training.key)
        try:
            yield from (f"{training.key}: {sentence}" for sentence in _of_training(training))
        except UserError as error:
            yield f"{training.key}: {error}"
    if len(codes) > 1:
        yield "trainings come from different code: " + "; ".join(f"{code} ({key}, ...)" for code, key in codes.items())


def _of_training(training: Training) -> Iterator[str]:
    import torch

    path = training.folder / "checkpoint_final.pth"
    if not path.exists():
        yield f"{path} does not exist; delete the folder and run again"
        return
    checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=False, mmap=True)
    epochs = training.matrix.epochs
    if checkpoint["current_epoch"] != epochs:
        yield f"it trained for {checkpoint['current_epoch']} epochs, not {epochs}"
    yield from _origin(training)
    split = fold_split(training.dataset, training.fold, raw_cases(training.dataset))
    record = checkpoint.get("tf_training") or {}
    if record.get("split") != split.digest:
        yield "it trained and validated on other cases than splits_final.json has now"
    if _validated(training) != set(split.val):
        yield "its validation folder does not hold the cases of the fold"
    yield from _enrichment(training, split, record.get("enrichment"))


def _origin(training: Training) -> Iterator[str]:
    entries = noted_codebases(training.folder)
    if not entries:
        yield "nobody noted which code trained it"
    for entry in entries:
        if not entry.clean:
            yield f"it was trained by a changed checkout ({', '.join(entry.changed[:3])})"


def _enrichment(training: Training, split: Split, used: dict[str, Any] | None) -> Iterator[str]:
    """The synthetic cases: none, or the arm's own for this seed, and the same that are there now."""
    if training.set_name is None:
        if used is not None:
            yield f"it trained with set {used['set']}, and should have real cases only"
        return
    enrichment = Enrichment.choose(training.dataset, training.fold, training.options)
    expected = to_json(enrichment.record(len(split.train), training.arm.percent))
    if used != expected:
        yield f"it trained with other synthetic cases ({used}) than set {training.set_name} holds now ({expected})"
    enrichment.refuse_leaks(split, Groups.read(training.dataset), raw_cases(training.dataset))
    order = read_record(Order, enrichment.part.config_path, CURE)
    made = (order.method, order.preset, order.seed)
    if made != (training.arm.method, training.arm.preset, training.seed):
        yield f"its set was made by method, preset and seed {made}"


def _validated(training: Training) -> set[str]:
    ending = dataset_json(training.dataset)["file_ending"]
    summary = read_json(training.folder / "validation" / "summary.json", "delete the folder and run again.")
    names = [str(case["prediction_file"]).replace("\\", "/").rpartition("/")[2] for case in summary["metric_per_case"]]
    return {name.removesuffix(ending) for name in names}
