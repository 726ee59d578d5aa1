"""Learning curves. In: the folds of a dataset and numbers of labelled cases. Out: further folds with so few.

nnU-Net reads one splits_final.json, so every draw is appended to it as a further fold, which validates on what its fold
validates on. Folds that are there never change, and a draw that is there already is found by its cases.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.folds import Groups, Split, ensure_splits, splits_file
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import locked, write_json


@dataclass(frozen=True)
class FoldUse:
    """An entry of splits_final.json that a benchmark trains on."""

    fold: int
    train_cases: int | None = None  # how many labelled cases were asked for; None: all of the fold
    draw: int | None = None  # which draw of so many

    @property
    def remark(self) -> str:
        """What it is, where that is more than a fold."""
        return "" if self.train_cases is None else f"{self.train_cases} labelled cases, draw {self.draw}"


def draw_cases(train: Sequence[str], number: int, groups: Groups, seed: Sequence[int]) -> tuple[str, ...]:
    """Draw cases in whole groups until there are at least `number`; smaller numbers are part of larger ones."""
    members = groups.together(train)
    order = np.random.default_rng(list(seed)).permutation(len(members))
    drawn: list[str] = []
    for index in order:
        if len(drawn) < number:
            drawn += members[index]
    return tuple(sorted(drawn))


def drawn_folds(dataset: Dataset, folds: Sequence[int], numbers: Sequence[int], draws: int) -> list[FoldUse]:
    """Return the further folds of draws, first all numbers of a draw; raise where splits_final.json lacks one."""
    splits = all_splits(dataset)
    uses: dict[int, FoldUse] = {}
    for use, split in _wanted(dataset, splits, folds, numbers, draws):
        fold = _position(splits, split)
        if fold is None:
            raise UserError(
                f"{splits_file(dataset)} lacks the fold for {use.remark} of fold {use.fold}; nnUNetv2_tf_benchmark "
                "plan appends it."
            )
        before = uses.setdefault(fold, FoldUse(fold, use.train_cases, use.draw))
        if before.train_cases != use.train_cases:
            raise UserError(
                f"{before.train_cases} and {use.train_cases} labelled cases are the same cases in {dataset.name}, "
                "whose patients stay together; take one of the two out of train_cases."
            )
    return list(uses.values())


def append_draws(dataset: Dataset, folds: Sequence[int], numbers: Sequence[int], draws: int) -> None:
    """Append to splits_final.json the draws that it lacks."""
    path = splits_file(dataset)
    with locked(path.with_name(".splits_final.lock"), "splits_final.json"):
        splits = all_splits(dataset)
        before = len(splits)
        for _, split in _wanted(dataset, splits[:before], folds, numbers, draws):
            if _position(splits, split) is None:
                splits.append(split)
        if len(splits) > before:
            write_json(path, [{"train": list(split.train), "val": list(split.val)} for split in splits])
            print(f"{path}: folds {before} to {len(splits) - 1} appended, which train on fewer cases.")


def _wanted(
    dataset: Dataset, splits: Sequence[Split], folds: Sequence[int], numbers: Sequence[int], draws: int
) -> Iterator[tuple[FoldUse, Split]]:
    """Yield every draw, beside the fold that it is drawn of; all cases of a fold can be drawn in one way only."""
    groups = Groups.read(dataset)
    for draw in range(draws):
        for number in numbers:
            for fold in folds:
                train, val = splits[fold].train, splits[fold].val
                if number > len(train):
                    raise UserError(
                        f"Fold {fold} of {splits_file(dataset)} trains on {len(train)} cases, and train_cases asks for "
                        f"{number}; take it out."
                    )
                drawn = draw_cases(train, number, groups, (fold, draw))
                if len(drawn) < len(train) or draw == 0:
                    yield FoldUse(fold, number, draw), Split(drawn, val)


def _position(splits: Sequence[Split], wanted: Split) -> int | None:
    return next((index for index, split in enumerate(splits) if split.digest == wanted.digest), None)


def all_splits(dataset: Dataset) -> list[Split]:
    """Return the entries of splits_final.json."""
    return ensure_splits(dataset, sorted(raw_cases(dataset)), Groups.read(dataset))
