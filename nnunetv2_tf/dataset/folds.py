"""Splits. In: a dataset's identifiers. Out: which cases train and which validate in a fold.

The unit is the patient, not the case: `groups.json` beside the raw dataset.json maps cases to groups, a case that is
not in it is a group of its own, and no group may stand on both sides of a split.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.io.arguments import Fold
from nnunetv2_tf.io.digests import digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json

NNUNET_SEED = 12345  # that nnU-Net draws its splits with
NNUNET_FOLDS = 5  # that it draws where there is no splits_final.json
Patient = tuple[str, str]  # ("group", its name), or ("case", the name of a case that is in no group)


@dataclass(frozen=True)
class Split:
    """The training and validation cases of one fold."""

    train: tuple[str, ...]
    val: tuple[str, ...]

    @property
    def digest(self) -> str:
        """A digest of which cases train and which validate, in whatever order."""
        return digest([sorted(self.train), sorted(self.val)])


class Groups:
    """The groups (patients) that cases belong to."""

    def __init__(self, group_of: Mapping[str, str] | None = None) -> None:
        self.group_of = dict(group_of or {})

    @classmethod
    def read(cls, dataset: Dataset) -> "Groups":
        """Read groups.json of a dataset; without the file each case is a group of its own."""
        path = dataset.raw / "groups.json"
        if not path.exists():
            return cls()
        groups = read_json(path, "it must be a JSON object {case: group}.")
        if not isinstance(groups, dict) or not all(isinstance(group, str) for group in groups.values()):
            raise UserError(f"{path} must be a JSON object of texts, {{case: group}}; write it like that.")
        return cls(groups)

    def __bool__(self) -> bool:
        return bool(self.group_of)

    def remark(self, identifiers: Iterable[str]) -> str:
        """Return what a user should know about the groups of these cases, in one line."""
        if not self:
            return "No groups.json: every case counts as a patient of its own."
        unknown = sorted(set(self.group_of) - set(identifiers))
        if unknown:
            shown = ", ".join(unknown[:3])
            return f"WARNING: groups.json names {len(unknown)} cases that the dataset lacks: {shown}"
        return f"groups.json: {len(set(self.group_of.values()))} groups over {len(self.group_of)} cases."

    def __getitem__(self, case: str) -> Patient:
        """Return the group of a case; a case without a group is told apart from a group that has its name."""
        return ("group", self.group_of[case]) if case in self.group_of else ("case", case)

    def together(self, cases: Iterable[str]) -> list[list[str]]:
        """Return these cases in sorted order, those of one group in one list."""
        members: dict[Patient, list[str]] = defaultdict(list)
        for case in sorted(cases):
            members[self[case]].append(case)
        return list(members.values())

    def cut_by(self, split: Split) -> tuple[str, str] | None:
        """Return a training and a validation case of the same group; None if the split keeps all groups whole."""
        training = {self[case]: case for case in reversed(split.train)}
        return next(((training[self[case]], case) for case in split.val if self[case] in training), None)


def same_patient(one: Patient, other: Patient) -> bool:
    """Tell whether cases of two datasets may be of one patient.

    Where one of them is in no group, its name tells: it is called like the other's group, and goes on.
    """
    shorter, longer = sorted((one[1], other[1]), key=len)
    alike = longer == shorter or longer.startswith((f"{shorter}-", f"{shorter}_"))
    return one == other or (alike and "case" in (one[0], other[0]))


def known_as(scan: str, patient: Patient, cases: Mapping[str, Patient]) -> str | None:
    """Return which of some cases a scan of another dataset is, or is of the patient of; names and groups tell.

    Args:
        scan: its name
        patient: whom it is of
        cases: with their patients
    """
    return next((case for case, other in cases.items() if scan == case or same_patient(other, patient)), None)


def fold_split(dataset: Dataset, fold: Fold, identifiers: Iterable[str]) -> Split:
    """Return the split of a fold, as nnU-Net's `do_split` makes it from the same (preprocessed) identifiers.

    A missing splits_final.json is written first. A split that separates the cases of one group is refused.
    """
    identifiers = sorted(identifiers)
    if fold == "all":
        return Split(tuple(identifiers), tuple(identifiers))
    groups = Groups.read(dataset)
    split = _numbered_fold(ensure_splits(dataset, identifiers, groups), int(fold), identifiers)
    check_groups_whole(split, groups, dataset, fold)
    return split


def remark_on(fold: Fold, dataset: Dataset) -> str:
    """Return a note where splits_final.json has no such fold, which may be a slip; nothing where it has it."""
    path = splits_file(dataset)
    number = len(read_splits(dataset)) if path.exists() else NNUNET_FOLDS
    if fold == "all" or int(fold) < number:
        return ""
    return (
        f"Note: {path} has folds 0 to {number - 1}, and no {fold}: as nnU-Net does, four fifths of the "
        "cases are drawn to train."
    )


def splits_file(dataset: Dataset) -> Path:
    """Return the path of splits_final.json, in which nnU-Net keeps a dataset's splits."""
    return dataset.preprocessed / "splits_final.json"


def ensure_splits(dataset: Dataset, identifiers: Sequence[str], groups: Groups) -> list[Split]:
    """Read splits_final.json; if it is missing, write nnU-Net's five folds, or five that keep groups whole, first.

    In whatever order the identifiers come: that of a folder's listing depends on its filesystem.
    """
    path = splits_file(dataset)
    if not path.exists():
        write_json(path, _group_safe_folds(identifiers, groups) if groups else _nnunet_folds(identifiers))
        print(f"{path}: five folds written, {'patients kept together' if groups else 'those of nnU-Net'}.")
    return read_splits(dataset)


def read_splits(dataset: Dataset) -> list[Split]:
    """Read splits_final.json, which has to be there."""
    path = splits_file(dataset)
    splits = read_json(path, "delete it and nnU-Net's five folds are written again.")
    if not isinstance(splits, list) or not all(_is_split(entry) for entry in splits):
        raise UserError(f"{path} must be a list of {{train: [...], val: [...]}}; write it like that.")
    return [Split(tuple(entry["train"]), tuple(entry["val"])) for entry in splits]


def _is_split(entry: Any) -> bool:
    sides = [entry.get(side) if isinstance(entry, dict) else None for side in ("train", "val")]
    return all(isinstance(cases, list) and all(isinstance(case, str) for case in cases) for cases in sides)


def groups_in_training(dataset: Dataset, fold: Fold, identifiers: Iterable[str]) -> tuple[Groups, str]:
    """Return the groups of a dataset's cases, and what to log about them.

    nnU-Net trains without the raw dataset, where they are; then only a split that is there already can be trusted.
    """
    if os.environ.get("nnUNet_raw") and dataset.raw.is_dir():
        groups = Groups.read(dataset)
        return groups, groups.remark(identifiers)
    path = splits_file(dataset)
    if fold != "all" and not path.exists():
        raise UserError(
            f"{path} does not exist, and nnUNet_raw has no {dataset.name}, where groups.json says which cases are one "
            "patient's; set nnUNet_raw to where it is, or bring the file."
        )
    return Groups(), f"WARNING: no groups.json was looked for: nnUNet_raw has no {dataset.name}."


def check_groups_whole(split: Split, groups: Groups, dataset: Dataset, fold: Fold) -> None:
    """Raise when a case or a group stands on both sides of the split."""
    if fold == "all":
        return
    where = f"Fold {fold} of {splits_file(dataset)}"
    both = sorted(set(split.train) & set(split.val))
    if both:
        raise UserError(f"{where} trains and validates on {both[0]}; take it off one side.")
    cut = groups.cut_by(split)
    if cut is not None:
        raise UserError(
            f"{where} trains on {cut[0]} and validates on {cut[1]}, which are one group in "
            f"{dataset.raw / 'groups.json'}; keep both on one side. (Without splits_final.json group-safe folds are "
            "written; models of the old folds do not belong to the new ones.)"
        )


def check_known_cases(names: Iterable[str], cases: Iterable[str], dataset: Dataset) -> None:
    """Raise when splits_final.json names cases that the dataset does not have."""
    unknown = sorted(set(names) - set(cases))
    if unknown:
        raise UserError(
            f"splits_final.json of {dataset.name} names {unknown[0]}, which {dataset.raw} does not have; correct it."
        )


def _numbered_fold(splits: Sequence[Split], fold: int, identifiers: Sequence[str]) -> Split:
    if fold < len(splits):
        return splits[fold]
    rnd = np.random.RandomState(seed=NNUNET_SEED + fold)  # nnU-Net's 80:20 split for a fold that the file lacks
    drawn: list[int] = rnd.choice(len(identifiers), int(len(identifiers) * 0.8), replace=False).tolist()
    rest = sorted(set(range(len(identifiers))) - set(drawn))
    return Split(tuple(identifiers[index] for index in drawn), tuple(identifiers[index] for index in rest))


def _nnunet_folds(identifiers: Sequence[str]) -> list[dict[str, list[str]]]:
    from nnunetv2.utilities.crossval_split import generate_crossval_split

    _check_enough(len(identifiers), "cases")
    splits = generate_crossval_split(sorted(identifiers), seed=NNUNET_SEED, n_splits=NNUNET_FOLDS)
    return [{side: [str(case) for case in cases] for side, cases in split.items()} for split in splits]


def _group_safe_folds(identifiers: Sequence[str], groups: Groups) -> list[dict[str, list[str]]]:
    """Return five folds of nearly equal size: groups in seeded order, larger ones first, each to the smallest fold."""
    members = groups.together(identifiers)
    _check_enough(len(members), "groups")
    order = np.random.default_rng(NNUNET_SEED).permutation(len(members))
    shuffled = [members[index] for index in order]
    folds: list[list[str]] = [[] for _ in range(NNUNET_FOLDS)]
    for cases in sorted(shuffled, key=len, reverse=True):
        min(folds, key=len).extend(cases)
    everyone = sorted(identifiers)
    return [{"train": [case for case in everyone if case not in fold], "val": sorted(fold)} for fold in folds]


def _check_enough(number: int, unit: str) -> None:
    if number < 5:
        raise UserError(
            f"Five folds need at least five {unit}, and there are {number}; write splits_final.json "
            "into the preprocessed folder yourself, or use fold all."
        )
