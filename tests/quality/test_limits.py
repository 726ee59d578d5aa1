"""Limits come from the cohort, with some slack, and say which class is beyond them."""

import numpy as np
import pytest

from nnunetv2_tf.quality.limits import Limits, further_case
from nnunetv2_tf.quality.measures import TumourMeasures

COHORT = [
    TumourMeasures({"1": (float(mean),), "2": (0.0,)}, (edge,))
    for mean, edge in zip(np.linspace(-1, 1, 60), [0.2, 0.3, 0.4] * 20, strict=True)
]  # a class between -1 and 1, standard deviation 0.59
NAMES, CHANNELS = {"1": "NCR", "2": "ED"}, ("t1n",)


def said_of(cohort: list[TumourMeasures], mean: float) -> str | None:
    return Limits.of(cohort).brightness_beyond(TumourMeasures({"1": (mean,)}, ()), NAMES, CHANNELS)


@pytest.mark.parametrize(
    ("mean", "said"),
    [(0.5, None), (1.5, None), (1.7, "NCR is at 1.70 sd in channel t1n"), (-1.7, "from -1.59 to 1.59")],
)
def test_brightness(mean, said):
    found = said_of(COHORT, mean)
    assert found is None if said is None else said in str(found)


def test_few_cases_do_not_pretend_to_know_the_range():
    """Against draws: a further case of a normal cohort is kept about 99 of 100 times, however few there are."""
    rng = np.random.default_rng(0)
    for number in (4, 6, 18):
        kept = []
        for _ in range(400):
            values = rng.normal(size=number + 1)
            cohort = [TumourMeasures({"1": (float(value),)}, ()) for value in values[:-1]]
            kept.append(said_of(cohort, float(values[-1])) is None)
        assert np.mean(kept) > 0.97
    assert further_case(18) == pytest.approx(2.898 * np.sqrt(1 + 1 / 18), abs=1e-3)  # by a table of Student's t


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
