"""Told apart where there is something to tell, and not where there is nothing; intervals that know who is related."""

import numpy as np
import pytest

from nnunetv2_tf.quality.two_samples import Estimate, apart, estimate, filled, interval, told_apart, wins
from tests.quality.spots import spot


def people(number: int = 15, hosts: int = 8) -> list:
    real = [spot(index, True, (f"p{index}",)) for index in range(number)]
    return [*real, *(spot(index, False, (f"h{index % hosts}", f"p{index}")) for index in range(number))]


EXAMPLES = people()
REAL = np.array([one.real for one in EXAMPLES])


def drawn(seed: int, shift: float = 0.0, spread: float = 1.0, informative: int = 3, features: int = 12) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=(len(EXAMPLES), features))
    values[~REAL, :informative] += shift
    values[~REAL] *= spread
    return values


def test_without_a_difference_it_is_a_coin_flip_on_average():
    values = [wins(drawn(seed), REAL, apart(EXAMPLES)) for seed in range(12)]
    assert np.nanmean(values) == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize(("shift", "spread"), [(2.0, 1.0), (0.0, 0.3)])
def test_differences_in_mean_and_in_spread_are_seen(shift, spread):
    found = told_apart(drawn(0, shift, spread), EXAMPLES, np.random.default_rng(0))
    assert found.value > 0.85
    assert found.low > 0.5
    assert found.low <= found.value <= found.high


def test_more_difference_is_told_apart_better():
    values = [
        np.mean([np.nanmean(wins(drawn(seed, shift), REAL, apart(EXAMPLES))) for seed in range(4)])
        for shift in (0.0, 1.0, 2.0)
    ]
    assert values[0] < values[1] < values[2]


def test_a_pair_is_never_judged_by_its_own_people():
    """A feature that is nothing but a donor's name says nothing when no relative may teach."""
    names = {f"p{index}": np.random.default_rng(index).normal(size=8) for index in range(15)}
    features = np.array([names[one.groups[-1]] for one in EXAMPLES])
    assert np.nanmean(wins(features, REAL, apart(EXAMPLES))) == pytest.approx(0.5, abs=0.15)


def test_missing_figures_take_the_median():
    features = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, 7.0]])
    known = np.array([True, True, False])
    np.testing.assert_array_equal(filled(features, known), [[1, 0], [3, 0], [2, 7]])


def test_intervals_are_wider_where_examples_share_people():
    found = (np.arange(15)[:, None] + np.arange(15) > 14).astype(float)
    alone = [spot(index, True, (f"p{index}",)) for index in range(15)]
    made = [spot(index, False, (f"own{index}",)) for index in range(15)]
    shared = [spot(index, False, (f"host{index // 5}",)) for index in range(15)]
    widths = []
    for others in (made, shared):
        value = interval(found, [*alone, *others], np.random.default_rng(0), 400)
        widths.append(value.high - value.low)
        assert value.value == pytest.approx(found.mean())
    assert widths[1] > 1.3 * widths[0]


def test_pairs_that_nobody_was_asked_about_do_not_count():
    found = np.full((15, 15), np.nan)
    found[:, 0] = 1.0
    assert interval(found, EXAMPLES, np.random.default_rng(0), 50).value == 1.0


def test_intervals_of_distances_are_around_their_figure_and_not_above_it():
    """Samples drawn anew are further apart than the first ones: without a difference the interval must reach 0."""
    for seed in range(4):
        values = np.random.default_rng(seed).normal(size=(len(EXAMPLES), 6))

        def figure(real: np.ndarray, made: np.ndarray, values: np.ndarray = values) -> float:
            means = [np.average(values[side], axis=0, weights=w) for side, w in ((REAL, real), (~REAL, made))]
            return float(np.abs(means[0] - means[1]).mean())

        found = estimate(figure, EXAMPLES, np.random.default_rng(0), 200, distance=True)
        assert 0 <= found.low <= found.value <= found.high


def test_a_figure_gets_weights_of_people_drawn_again():
    seen = []

    def figure(real: np.ndarray, made: np.ndarray) -> float:
        seen.append((real, made))
        return float(real.sum())

    found = estimate(figure, EXAMPLES, np.random.default_rng(0), 20)
    assert found.value == 15
    for real, made in seen:
        assert np.all((made == 0) | (real > 0))  # a donor that was not drawn takes its made case along
    assert str(Estimate(0.5, 0.25, 0.75)) == "0.50 (0.25 to 0.75)"
