"""The filter works for every method: a trained baseline is asked, and its answer decides."""

from dataclasses import replace

import pytest

from nnunetv2_tf.quality.limits import Limits
from nnunetv2_tf.quality.measures import TumourMeasures
from nnunetv2_tf.synthesis.acceptance import Acceptance, FilterRule, RejectedLineError
from nnunetv2_tf.synthesis.case_maker import synthesize_case
from tests.methods.test_contract import METHODS
from tests.scenes import Built


@pytest.mark.parametrize("method", METHODS)
def test_what_a_trained_baseline_recognises_decides(scene: Built, method):
    task = scene.task(0, 1, method)
    rule = FilterRule(scene.trained_baseline(), (-1.0, 1.0))  # keeps whatever is recognised
    acceptance = Acceptance(Limits.of([TumourMeasures.of(case) for case in scene.cases]), rejects=False, rule=rule)
    _, sidecar = synthesize_case(replace(task, acceptance=acceptance))
    share = sidecar.controls["quality"]["recognised"]
    assert 0 <= share <= 1
    strict = replace(acceptance, rule=replace(rule, keep=(share, 1.0)))  # more than it is
    with pytest.raises(RejectedLineError, match=f"filter: the baseline recognises {share:.2f}") as rejected:
        synthesize_case(replace(task, acceptance=strict))
    assert rejected.value.figures["recognised"] == share
