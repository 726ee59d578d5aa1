"""Which cases are one patient, and splits that keep patients together.

In: the names of cases, a file of the user's, and hashes of voxels (releases of different years overlap, so some scans
are the same voxel by voxel). Out: groups of cases, as in groups.json, and a fold that cuts none.
"""

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nnunetv2_tf.dataset.folds import Groups
from nnunetv2_tf.io.errors import UserError


def read_groups_file(path: Path, cases: Sequence[str]) -> dict[str, str]:
    """Read a CSV file with the columns case and group, as {case: group}. Raises when a case is not among `cases`."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error):
        raise UserError(f"{path} cannot be read; give a CSV file with the columns case,group.") from None
    if not rows or not {"case", "group"} <= set(rows[0]):
        raise UserError(f"{path} must have a first line case,group and a line per case; write it like that.")
    for row in rows:
        if row["case"] not in cases:
            raise UserError(f"{path} names {row['case']}, which is no case of these folders; correct the name.")
        if not row["group"]:
            raise UserError(f"{path} gives {row['case']} no group; fill it in or take the line away.")
    return {row["case"]: row["group"] for row in rows}


def group_cases(patients: Mapping[str, str], given: Mapping[str, str], hashes: Mapping[str, str]) -> dict[str, str]:
    """Return {case: group} for every case. Cases of one voxel hash share a group.

    A group is named after the first of its patients.

    Args:
        patients: {case: patient}, by the names of cases
        given: {case: group} of the user's file, which overrides `patients`
        hashes: {case: voxel hash}
    """
    named = {case: given.get(case, patient) for case, patient in patients.items()}
    parent = {name: name for name in named.values()}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    for same in duplicates(hashes):
        first, *others = sorted(root(named[case]) for case in same)
        for other in others:
            parent[other] = first
    return {case: root(name) for case, name in sorted(named.items())}


def duplicates(hashes: Mapping[str, str]) -> list[list[str]]:
    """Return the cases whose scans are the same voxel by voxel, one list for each such scan."""
    cases_of = defaultdict(list)
    for case, voxels in sorted(hashes.items()):
        cases_of[voxels].append(case)
    return [cases for cases in cases_of.values() if len(cases) > 1]


def check_enough_cases(num_cases: int, num_train: int, num_val: int) -> None:
    """Raise when a split asks for more cases than there are."""
    if num_train + num_val > num_cases:
        raise UserError(f"-num_train {num_train} and -num_val {num_val} are more than the {num_cases} cases there are.")


def one_fold(groups: Groups, cases: Sequence[str], num_train: int, num_val: int, seed: int) -> dict[str, list[str]]:
    """Draw the paper's split: so many cases to train, so many others to validate, by whole patients.

    Patients come in seeded order; one that does not fit any more is passed over.
    """
    members = defaultdict(list)
    for case in sorted(cases):
        members[groups[case]].append(case)
    patients = list(members.values())
    sides: dict[str, list[str]] = {"train": [], "val": []}
    for index in np.random.default_rng(seed).permutation(len(patients)):
        for side, wanted in (("train", num_train), ("val", num_val)):
            if len(sides[side]) + len(patients[index]) <= wanted:
                sides[side] += patients[index]
                break
    if (len(sides["train"]), len(sides["val"])) != (num_train, num_val):
        raise UserError(
            f"No split of {num_train} and {num_val} cases came out without cutting a patient; change the numbers a "
            "little or use another -split_seed."
        )
    return {side: sorted(chosen) for side, chosen in sides.items()}
