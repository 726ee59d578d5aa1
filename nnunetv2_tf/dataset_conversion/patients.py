"""Which cases are one patient, and splits that keep patients together.

Out: groups.json, from the names of cases, a file of the user's, and scans that are the same voxel by voxel (releases
of different years overlap).
"""

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nnunetv2_tf.errors import UserError
from nnunetv2_tf.folds import Groups


def read_groups_file(path: Path, cases: Sequence[str]) -> dict[str, str]:
    """Reads a CSV file with the columns case and group; refuses cases that there are none of."""
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
    """{case: group} for every case. `given` overrides `patients`; cases of one voxel hash share a group.

    A group is named after the first of its patients.
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
    """The cases whose scans are the same voxel by voxel."""
    cases_of = defaultdict(list)
    for case, voxels in sorted(hashes.items()):
        cases_of[voxels].append(case)
    return [cases for cases in cases_of.values() if len(cases) > 1]


def refuse_too_few(num_cases: int, num_train: int, num_val: int) -> None:
    """Raises when a split asks for more cases than there are."""
    if num_train + num_val > num_cases:
        raise UserError(f"-num_train {num_train} and -num_val {num_val} are more than the {num_cases} cases there are.")


def one_fold(groups: Groups, cases: Sequence[str], num_train: int, num_val: int, seed: int) -> dict[str, list[str]]:
    """The paper's split: so many cases to train, so many others to validate, drawn by whole patients.

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
