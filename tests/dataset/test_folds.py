import json
import os

import numpy as np
import pytest

from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.folds import (
    Groups,
    Split,
    ensure_splits,
    fold_split,
    groups_in_training,
    remark_on,
    same_patient,
)
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from tests.workspace import Workspace


@pytest.fixture
def dataset(tmp_path, monkeypatch) -> Dataset:
    for name in ("nnUNet_raw", "nnUNet_preprocessed"):
        monkeypatch.setenv(name, str(tmp_path / name))
        (tmp_path / name / "Dataset501_X").mkdir(parents=True)
    return Dataset("Dataset501_X")


@pytest.mark.parametrize("fold", [0, 3, 4, 7, "all"])
@pytest.mark.parametrize("splits", ["missing", "three"])
def test_the_fold_is_the_one_nnunet_makes(workspace: Workspace, fold, splits):
    """Against nnU-Net's own do_split: default folds, a file with fewer folds than asked for, and `all`."""
    path = workspace.dataset.preprocessed / "splits_final.json"
    path.unlink(missing_ok=True)
    if splits == "three":
        names = [f"case_{index:03d}" for index in range(10)]
        write_json(path, [{"train": names[start:], "val": names[:start]} for start in (2, 3, 4)])
    trainer = workspace.trainer("nnUNetTrainer", fold)
    ours = fold_split(workspace.dataset, fold, trainer_identifiers(workspace))
    if splits == "missing" and fold != "all":
        path.unlink()  # nnU-Net is to write its own
    theirs = [list(map(str, side)) for side in trainer.do_split()]
    if fold == "all":  # nnU-Net takes the order in which the disk lists files
        theirs = [sorted(side) for side in theirs]
    assert theirs == [list(ours.train), list(ours.val)]


def trainer_identifiers(workspace: Workspace) -> list[str]:
    folder = workspace.dataset.preprocessed / "nnUNetPlans_3d_fullres"
    return [path.stem for path in folder.glob("*.pkl")]


def test_group_safe_folds_are_a_partition_that_cuts_no_group(dataset):
    cases = [f"c{index:02d}" for index in range(23)]
    group_of = {case: f"g{index // 3}" for index, case in enumerate(cases[:15])}
    splits = ensure_splits(dataset, cases, Groups(group_of))
    assert len(splits) == 5
    assert sorted(case for split in splits for case in split.val) == cases
    sizes = [len(split.val) for split in splits]
    assert max(sizes) - min(sizes) <= 3
    for split in splits:
        assert sorted(split.train + split.val) == cases
        assert Groups(group_of).cut_by(split) is None
    assert ensure_splits(dataset, cases[:3], Groups()) == splits  # the file is kept


def test_a_cut_group_is_refused_naming_both_cases(dataset):
    write_json(dataset.preprocessed / "splits_final.json", [{"train": ["a", "b"], "val": ["c"]}])
    write_json(dataset.raw / "groups.json", {"b": "P1", "c": "P1"})
    with pytest.raises(UserError, match="trains on b and validates on c, which are one group"):
        fold_split(dataset, 0, ["a", "b", "c"])
    write_json(dataset.preprocessed / "splits_final.json", [{"train": ["a", "b"], "val": ["b"]}])
    with pytest.raises(UserError, match="trains and validates on b; take it off one side"):
        fold_split(dataset, 0, ["a", "b", "c"])
    assert fold_split(dataset, "all", ["a", "b", "c"]) == Split(("a", "b", "c"), ("a", "b", "c"))


def test_a_case_outside_groups_json_is_its_own_group():
    groups = Groups({"a": "b", "z": "b"})
    assert groups.remark(["a"]) == "WARNING: groups.json names 1 cases that the dataset lacks: z"
    assert groups.remark(["a", "z"]) == "groups.json: 1 groups over 2 cases."
    assert Groups().remark(["a"]) == "No groups.json: every case counts as a patient of its own."
    assert groups["a"] != groups["b"]
    assert groups.cut_by(Split(("a",), ("b",))) is None
    assert groups.cut_by(Split(("b",), ("b",))) == ("b", "b")


@pytest.mark.parametrize("content", ["{", "[1]", '{"a": 1}'])
def test_a_broken_groups_file_is_named(dataset, content):
    (dataset.raw / "groups.json").write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=r"groups\.json"):
        Groups.read(dataset)


def test_broken_splits_and_too_few_cases_are_named(dataset):
    with pytest.raises(UserError, match="at least five cases, and there are 4"):
        fold_split(dataset, 0, "abcd")
    with pytest.raises(UserError, match="at least five groups, and there are 2"):
        write_json(dataset.raw / "groups.json", dict.fromkeys("abc", "P") | dict.fromkeys("def", "Q"))
        fold_split(dataset, 0, "abcdef")
    (dataset.preprocessed / "splits_final.json").write_text(json.dumps([{"train": []}]), encoding="utf-8")
    with pytest.raises(UserError, match=r"splits_final\.json must be a list"):
        fold_split(dataset, 0, "abcdef")


def test_nnunets_folds_are_written_as_plain_texts(dataset):
    ensure_splits(dataset, [f"c{index}" for index in range(7)], Groups())
    written = read_json(dataset.preprocessed / "splits_final.json", "")
    assert all(isinstance(case, str) for split in written for side in split.values() for case in side)
    assert np.sum([len(split["val"]) for split in written]) == 7


def test_without_the_raw_dataset_only_a_split_that_is_there_is_trained_on(dataset, monkeypatch):
    """groups.json lies there, and folds drawn without it would divide patients."""
    cases = [f"c{index}" for index in range(7)]
    write_json(dataset.raw / "groups.json", {"c0": "P1", "c1": "P1"})
    assert groups_in_training(dataset, 0, cases)[0]["c0"] == ("group", "P1")
    monkeypatch.delenv("nnUNet_raw")
    with pytest.raises(
        UserError, match=r"splits_final\.json does not exist, and nnUNet_raw has no Dataset501_X, .*set"
    ):
        groups_in_training(dataset, 0, cases)
    assert "WARNING: no groups.json" in groups_in_training(dataset, "all", cases)[1]
    write_json(dataset.preprocessed / "splits_final.json", [{"train": cases[2:], "val": cases[:2]}])
    groups, told = groups_in_training(dataset, 0, cases)
    assert not groups
    assert "WARNING: no groups.json was looked for" in told


@pytest.mark.parametrize("fold", [0, 4])
def test_a_trainer_writes_nnunets_folds_in_whatever_order_the_disk_lists_files(workspace: Workspace, monkeypatch, fold):
    """Against nnU-Net's own do_split."""
    path, listed = workspace.dataset.preprocessed / "splits_final.json", os.listdir
    path.unlink(missing_ok=True)
    theirs = workspace.trainer("nnUNetTrainer", fold).do_split()
    path.unlink()
    monkeypatch.setattr(os, "listdir", lambda *where: sorted(listed(*where), key=lambda name: name[::-1], reverse=True))
    trainer = workspace.trainer("TFBaselineTrainer", fold)
    assert trainer.all_identifiers() != sorted(trainer.all_identifiers())
    trainer.get_tr_and_val_datasets()
    assert [trainer.split.train, trainer.split.val] == [tuple(map(str, side)) for side in theirs]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("group", "P1"), ("group", "P1"), True),
        (("group", "P1"), ("group", "P1-2"), False),  # both say who they are of
        (("group", "P1"), ("case", "P1-2"), True),
        (("case", "P1_000"), ("group", "P1"), True),
        (("case", "P1"), ("case", "P1"), True),
        (("case", "P1"), ("group", "P12"), False),
        (("case", "scan"), ("case", "other"), False),
    ],
)
def test_cases_of_two_datasets_may_be_of_one_patient(one, other, same):
    assert same_patient(one, other) is same_patient(other, one) is same


def test_a_fold_that_the_file_lacks_is_remarked_on(workspace: Workspace):
    ensure_splits(workspace.dataset, sorted(raw_cases(workspace.dataset)), Groups())
    assert [remark_on(fold, workspace.dataset) for fold in (0, 4, "all")] == ["", "", ""]
    assert "has folds 0 to 4, and no 7: as nnU-Net does" in remark_on(7, workspace.dataset)
