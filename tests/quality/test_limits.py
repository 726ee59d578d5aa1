"""Limits come from the cohort, with some slack, and say which class is beyond them."""

import pytest

from nnunetv2_tf.quality.limits import Limits
from nnunetv2_tf.quality.measures import TumourMeasures

COHORT = [TumourMeasures({"1": (mean,), "2": (0.0,)}, (edge,)) for mean, edge in ((-1.0, 0.2), (0.0, 0.3), (1.0, 0.4))]
NAMES, CHANNELS = {"1": "NCR", "2": "ED"}, ("t1n",)


@pytest.mark.parametrize(
    ("mean", "said"),
    [(0.5, None), (1.7, None), (1.9, "NCR is at 1.90 sd in channel t1n"), (-1.9, "from -1.82 to 1.82")],
)
def test_brightness(mean, said):
    found = Limits.of(COHORT).brightness_beyond(TumourMeasures({"1": (mean,)}, ()), NAMES, CHANNELS)
    assert found is None if said is None else said in str(found)


@pytest.mark.parametrize(("edge", "inside"), [(0.14, True), (0.59, True), (0.12, False), (0.61, False)])
def test_edges(edge, inside):
    found = Limits.of(COHORT).edge_beyond(TumourMeasures({}, (edge,)), CHANNELS)
    assert (found is None) is inside


def test_an_even_cohort_still_has_slack():
    assert Limits.of(COHORT).means["2"] == ((-0.25, 0.25),)


def test_too_few_cases_set_no_limits():
    limits = Limits.of(COHORT[:2])
    assert (limits.means, limits.edges) == ({}, ())
    assert limits.brightness_beyond(TumourMeasures({"1": (99.0,)}, (9.0,)), NAMES, CHANNELS) is None
    assert limits.edge_beyond(TumourMeasures({"1": (99.0,)}, (9.0,)), CHANNELS) is None
