"""Nothing that new cases are made of may validate."""

from dataclasses import replace

import pytest

from nnunetv2_tf.dataset.folds import Groups, Split, fold_split
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.methods.lookup import find_method
from nnunetv2_tf.online.online_cases import OnlineCases
from nnunetv2_tf.sets.names import TrainerOptions
from nnunetv2_tf.synthesis.fit_result import FitResult
from tests.workspace import Workspace

NAMES = [f"case_{index:03d}" for index in range(10)]
CARVEMIX = TrainerOptions(method="carvemix")


def cases_of(workspace: Workspace, options: TrainerOptions = CARVEMIX, seed: int = 0) -> OnlineCases:
    return OnlineCases.of(workspace.dataset, workspace.plan(), 0, options, seed, 1)


def test_what_belongs_to_the_fold_passes(workspace: Workspace):
    cases_of(workspace).check(fold_split(workspace.dataset, 0, NAMES), Groups(), NAMES)


def test_another_split_is_refused(workspace: Workspace):
    split = fold_split(workspace.dataset, 0, NAMES)
    moved = Split(split.train[1:], (*split.val, split.train[0]))
    with pytest.raises(UserError, match=f"{split.train[0]} is only among the raw cases, or only"):
        cases_of(workspace).check(moved, Groups(), NAMES)


def test_a_training_case_of_a_patient_that_validates_is_refused(workspace: Workspace):
    split = fold_split(workspace.dataset, 0, NAMES)
    groups = Groups({split.train[2]: "P1", split.val[0]: "P1"})
    with pytest.raises(UserError, match=f"would leak validation cases of fold 0 into training .*{split.train[2]}"):
        cases_of(workspace).check(split, groups, NAMES)


def test_a_fit_that_has_seen_a_patient_that_validates_is_refused(workspace: Workspace, tmp_path, monkeypatch):
    split = fold_split(workspace.dataset, 0, NAMES)
    groups = Groups({split.val[0]: "P1"})
    fit = FitResult(find_method("freetumor"), tmp_path, None, "digest", (), "Dataset602_More")
    monkeypatch.setattr(FitResult, "scans", {"Dataset602_More/scan": groups[split.val[0]]})
    with pytest.raises(UserError, match=f"unlabelled scan Dataset602_More/scan, of the patient of {split.val[0]}"):
        replace(cases_of(workspace), fit=fit).check(split, groups, NAMES)


def test_the_record_tells_what_decides_and_nothing_else(workspace: Workspace):
    record = cases_of(workspace).record
    assert (record.method, record.preset, record.percent, record.seed) == ("carvemix", "default", 50, 0)
    assert cases_of(workspace, seed=1).record == replace(record, seed=1)
    paper = cases_of(workspace, replace(CARVEMIX, preset="paper", percent=30)).record
    assert (paper.preset, paper.percent) == ("paper", 30)
    assert paper.hash != record.hash
