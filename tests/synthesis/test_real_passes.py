"""How many real cases a filter would let pass is asked of baselines that have not seen them, where there are some."""

import shutil
from dataclasses import replace

import pytest

from nnunetv2_tf.dataset.folds import fold_split
from nnunetv2_tf.synthesis import real_passes as module
from nnunetv2_tf.synthesis.acceptance import FilterRule
from nnunetv2_tf.synthesis.real_passes import real_passes
from tests.baseline.models import baseline
from tests.synthesis.making import cohort_of
from tests.workspace import Workspace


@pytest.mark.slow
def test_by_the_same_baseline_it_is_optimistic(trained: Workspace, monkeypatch):
    rule = FilterRule(baseline(trained), (0.0, 0.9))
    found = real_passes(cohort_of(trained), rule, "cpu")
    passing = sum(0 < share <= 0.9 for share in found.shares)
    assert (
        found.sentence(rule) == f"Of 8 real training cases {passing} would pass this filter (optimistic: it saw these)."
    )
    monkeypatch.setattr(module, "_share", lambda *_: pytest.fail("asked twice"))
    assert real_passes(cohort_of(trained), replace(rule, keep=(0.5, 1.0)), "cpu") == found


@pytest.mark.slow
def test_other_folds_baselines_are_asked_about_their_validation_cases(trained: Workspace, monkeypatch):
    rule = FilterRule(baseline(trained))
    other = replace(rule.baseline, fold=1)
    shutil.copytree(rule.baseline.folder, other.folder)
    monkeypatch.setattr(module, "_usable", lambda judge: judge.path.exists())  # it says that it is of fold 0
    asked = {}
    monkeypatch.setattr(module, "_share", lambda case, judge, _: asked.setdefault(case.identifier, judge.fold) * 0.5)
    found = real_passes(cohort_of(trained), rule, "cpu")
    validating = fold_split(trained.dataset, 1, [f"case_{index:03d}" for index in range(10)]).val
    assert asked == dict.fromkeys(validating, 1)
    assert found.sentence(rule).startswith(f"Of {len(validating)} real training cases 0 would pass")
    assert "had not seen them" in found.sentence(rule)


@pytest.mark.slow
def test_another_folds_baseline_that_cannot_be_used_is_passed_over(trained: Workspace):
    rule = FilterRule(baseline(trained))
    shutil.copytree(rule.baseline.folder, replace(rule.baseline, fold=1).folder)
    assert not real_passes(cohort_of(trained), rule, "cpu").unseen
