"""Checks before a benchmark starts. In: MATRIX.json and a folder. Out: the matrix, or an error."""

from dataclasses import fields
from itertools import product
from pathlib import Path

from nnunetv2_tf.benchmark.few_labels import all_splits, append_draws
from nnunetv2_tf.benchmark.fits import fits_of
from nnunetv2_tf.benchmark.matrix import Matrix, Training, read_matrix
from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.folds import fold_split, splits_file
from nnunetv2_tf.dataset.label_roles import read_regions
from nnunetv2_tf.io.arguments import KEEP
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.io.json_dataclass import checked, read_record, to_json
from nnunetv2_tf.methods.lookup import find_method
from nnunetv2_tf.synthesis.requests import usable_method
from nnunetv2_tf.synthesis.set_config import CURE, SetConfig
from nnunetv2_tf.working_space.healthy import check_same_channels
from nnunetv2_tf.working_space.preprocess import Plan


def checked_matrix(path: Path) -> Matrix:
    """Read the matrix; raise when plans, folds or methods do not exist, or a set was made in another way."""
    matrix = read_matrix(path)
    for arm in matrix.arms:
        if arm.method is not None:
            usable_method(arm.method, arm.preset, None if arm.healthy is None else str(arm.healthy), {})
    for dataset, arm in product(map(Dataset, map(str, matrix.datasets)), matrix.arms):
        if arm.healthy is not None:
            check_same_channels(dataset, Dataset.find(str(arm.healthy)))
    for dataset in map(Dataset, map(str, matrix.datasets)):
        Plan.read(dataset, matrix.plans, matrix.configuration)
        read_regions(dataset)
        _check_folds(dataset, matrix)
        if matrix.train_cases:
            append_draws(dataset, matrix.folds, matrix.train_cases, matrix.draws)
    for training in matrix.trainings():
        _check_same_set(training, path)
        training.check_same_beginning()
        for fit in fits_of(training):
            fit.check_same()
    return matrix


def _check_folds(dataset: Dataset, matrix: Matrix) -> None:
    """Raise when a fold does not exist, or is another one again."""
    identifiers = sorted(raw_cases(dataset))
    number = len(all_splits(dataset))
    seen: dict[str, int] = {}
    for fold in matrix.folds:
        if fold >= number:
            raise UserError(f"{splits_file(dataset)} has folds 0 to {number - 1}, and the matrix asks for {fold}.")
        other = seen.setdefault(fold_split(dataset, fold, identifiers).digest, fold)
        if other != fold:
            raise UserError(f"Folds {other} and {fold} of {splits_file(dataset)} are the same; take one out.")


def _check_same_set(training: Training, path: Path) -> None:
    """Raise when the set exists and was made in another way, before hours are spent on other arms."""
    if training.set_name is None:
        return
    config = training.part.config_path
    if not config.exists():
        return
    order, matrix, arm = read_record(SetConfig, config, CURE), training.matrix, training.arm
    wanted = {"method": arm.method, "preset": arm.preset, "seed": training.seed}
    wanted |= {"plans": matrix.plans, "configuration": matrix.configuration}
    wanted["healthy"] = None if arm.healthy is None else Dataset.find(str(arm.healthy)).name
    unasked = _unasked(order, training)
    if unasked:
        raise UserError(
            f"{config}: set {training.set_name} was made with {unasked}, which {path} does not ask for; give arm "
            f'{arm.name} sets of its own: "set": "anothername".'
        )
    for field, value in wanted.items():
        if getattr(order, field) != value:
            raise UserError(
                f"{config}: set {training.set_name} was made with {field} {getattr(order, field)}, and {path} asks for "
                f'{value}; give arm {arm.name} sets of its own: "set": "anothername".'
            )


def _unasked(order: SetConfig, training: Training) -> str:
    """Return what a set was made with and its arm does not ask for; nothing where it is as it should be."""
    arm, found = training.arm, order.filter
    if (order.controls or {}) != ({} if arm.volume_ml is None else {"volume_ml": list(arm.volume_ml)}):
        return "other wishes (controls)"
    if arm.filter and found is None:
        return "no filter"
    if found is not None:
        asked = (*KEEP, training.baseline.trainer) if arm.filter else None
        if (found.low, found.high, found.baseline.trainer) != asked:
            return "another filter"
    if order.pseudo_labels is not None:
        return "pseudo-labelled donors"
    settings = to_json(find_method(str(arm.method), arm.preset).config)
    return "" if to_json(order.config) == settings else "other settings than its preset has"


def claim_folder(folder: Path, matrix: Matrix) -> None:
    """Write the matrix into the folder; raise when the folder holds results of another matrix."""
    path = folder / "matrix.json"
    if path.exists():
        cure = "give another folder with -o."
        written = {key: value for key, value in read_json(path, cure).items() if key != "hash"}
        before = checked(Matrix, written, path, cure)
        given, now = before.given, matrix.given
        differing = [entry.name for entry in fields(Matrix) if given.get(entry.name) != now.get(entry.name)]
        if differing:
            raise UserError(
                f"{folder} holds results of a matrix with other {differing[0]}; give another folder with -o, or delete "
                "this one (trainings are not in it, so none has to be repeated)."
            )
    write_json(path, {**to_json(matrix), "hash": matrix.hash})
