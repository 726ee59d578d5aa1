from dataclasses import replace

import numpy as np
import pytest

from nnunetv2_tf.registration import quality_control
from nnunetv2_tf.registration.quality_control import Measures

GOOD = Measures(before=0.4, after=0.6, brain_ml=1400.0, overlap=0.96, covered=1.0, dark=0.4, bright=1.5)


def outliers(measures: dict[str, Measures], **elsewhere: str) -> dict[str, list[str]]:
    """All from one collection, but for the cases named."""
    return quality_control.outliers(measures, {case: elsewhere.get(case, "here") for case in measures})


def cohort(number: int = 20) -> dict[str, Measures]:
    rng = np.random.default_rng(0)
    return {
        f"case_{index:02d}": replace(
            GOOD,
            after=0.6 + 0.01 * rng.normal(),
            brain_ml=1400 + 80 * rng.normal(),
            dark=0.4 + 0.02 * rng.normal(),
            bright=1.5 + 0.03 * rng.normal(),
        )
        for index in range(number)
    }


def test_a_good_cohort_has_no_outlier():
    assert outliers(cohort()) == {}
    assert outliers({}) == {}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"after": 0.4}, "registration made it no more like the reference"),
        ({"brain_ml": 700.0}, "a brain of 700 ml is no healthy adult's (850 to 2100)"),
        ({"brain_ml": 2600.0}, "a brain of 2600 ml"),
        ({"overlap": 0.6}, "its brain overlaps the reference's by 0.60 only"),
        ({"covered": 0.9}, "only 90 % of its brain lie on the reference's grid and in every channel"),
        ({"after": 0.45}, "its similarity to the reference, 0.45, is far from the others' 0.5"),
        ({"dark": 0.9}, "its darkness of dark tissue, 0.9, is far from the others' 0."),
    ],
)
def test_outliers_are_named_with_their_reason(change, reason):
    measures = {**cohort(), "bad": replace(GOOD, **change)}
    found = outliers(measures)
    assert list(found) == ["bad"]
    assert reason in " ".join(found["bad"])


def test_all_reasons_are_named():
    found = outliers({**cohort(), "bad": replace(GOOD, dark=0.9, bright=9.0, brain_ml=700.0)})
    assert len(found["bad"]) == 4  # too small for an adult, and far from the others in size, dark and bright


def test_small_differences_are_no_failure_however_alike_the_others_are():
    same = {f"case_{index}": GOOD for index in range(20)}
    assert outliers({**same, "other": replace(GOOD, covered=0.985, overlap=0.95, bright=1.6)}) == {}
    assert list(outliers({**same, "other": replace(GOOD, bright=1.7)})) == ["other"]


def test_better_than_all_others_is_no_outlier():
    assert outliers({**cohort(), "best": replace(GOOD, after=0.9)}) == {}


def test_a_scan_is_judged_among_those_of_its_collection():
    """Other scanners have other contrasts."""
    measures = {**cohort(), "other": replace(GOOD, bright=2.5)}
    assert list(outliers(measures)) == ["other"]
    assert outliers(measures, other="elsewhere") == {}


def test_of_a_handful_nobody_is_far():
    few = dict(list(cohort().items())[:3])
    assert outliers({**few, "other": replace(GOOD, dark=0.9)}) == {}
