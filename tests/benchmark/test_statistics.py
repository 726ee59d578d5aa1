"""Against scipy, against the paper's printed numbers, against brute force."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nnunetv2_tf.benchmark.statistics import (
    Comparison,
    Interval,
    Significance,
    compare,
    crossed_bootstrap,
    detectable_difference,
    effect_size,
    fewest_cases,
    holm,
    sentence,
    split_effects,
    student_from_summary,
    welch_from_summary,
    wilcoxon,
)

MEANS = {"nnU-Net": (66.57, 0.52), "CarveMix": (66.72, 0.25), "Pix2Pix": (66.23, 0.44), "TF": (67.77, 0.08)}
RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("arm", "printed"), [("CarveMix", 0.676), ("Pix2Pix", 0.436), ("TF", 0.017)])
def test_the_papers_table_1(arm, printed):
    """Three seeds each; the paper pools the variances."""
    assert student_from_summary(*MEANS[arm], 3, *MEANS["nnU-Net"], 3).p == pytest.approx(printed, abs=5e-4)


def test_without_equal_variances_the_papers_gain_is_not_significant():
    assert welch_from_summary(*MEANS["TF"], 3, *MEANS["nnU-Net"], 3).p == pytest.approx(0.054, abs=5e-4)


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=6), st.lists(st.floats(-5, 5), min_size=3, max_size=6))
def test_t_tests_from_summaries_are_scipys_from_data(one, other):
    one, other = np.array(one) + RNG.normal(size=len(one)), np.array(other) + RNG.normal(size=len(other))
    summary = (one.mean(), one.std(ddof=1), len(one), other.mean(), other.std(ddof=1), len(other))
    for ours, equal in ((student_from_summary, True), (welch_from_summary, False)):
        expected: Any = stats.ttest_ind(one, other, equal_var=equal)
        found = ours(*summary)
        assert found.p == pytest.approx(expected.pvalue, rel=1e-9)
        assert found.statistic == pytest.approx(expected.statistic, rel=1e-9)
        assert found.df == pytest.approx(expected.df, rel=1e-9)


def test_t_tests_without_any_variance():
    for test in (student_from_summary, welch_from_summary):
        assert test(1.0, 0.0, 3, 1.0, 0.0, 3).p == 1
        assert test(2.0, 0.0, 3, 1.0, 0.0, 3).p == 0


def test_wilcoxon_takes_the_mean_over_seeds():
    arm, reference = RNG.random((3, 12)), RNG.random((4, 12))
    expected: Any = stats.wilcoxon(arm.mean(0), reference.mean(0))
    assert wilcoxon(arm, reference).p == pytest.approx(expected.pvalue)
    assert wilcoxon(arm, arm).p == 1


@pytest.mark.parametrize("values", [(-2, -1, 1, 2), (0, 1, 3), (-3, 1, 1, 2)])
def test_wilcoxon_is_exact_also_with_ties_and_zeros(values):
    """Against scipy, which permutes all signs."""
    differences = np.random.default_rng(3).choice(values, size=(1, 9)).astype(float)
    permuted: Any = stats.PermutationMethod(n_resamples=10**6)
    expected: Any = stats.wilcoxon(differences[0], method=permuted)
    found = wilcoxon(differences, np.zeros((1, 9)))
    assert (found.statistic, found.p) == (pytest.approx(expected.statistic), pytest.approx(expected.pvalue))


def test_holm_by_hand_and_its_properties():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
    assert holm([]) == []
    assert holm([0.6, 0.7]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_lowers_and_keeps_the_order(ps):
    adjusted = holm(ps)
    assert all(new >= old for new, old in zip(adjusted, ps, strict=True))
    assert max(adjusted) <= 1
    for one in range(len(ps)):
        assert all(adjusted[one] <= adjusted[other] for other in range(len(ps)) if ps[one] < ps[other])


@pytest.mark.parametrize(
    ("seeds", "cases", "of_seed"),
    [(6, 40, 0.02), (3, 40, 0.02), (3, 200, 0.01), (3, 200, 0.05), (2, 200, 0.02)],
)
def test_bootstrap_covers_the_truth_as_often_as_it_says(seeds, cases, of_seed):
    """Cases and trainings scatter, the true difference is .03; 95 % of intervals hold it, as far as 300 trials show."""
    held = 0
    for trial in range(300):
        rng = np.random.default_rng(trial)
        level = rng.normal(0.6, 0.2, cases)
        arm, reference = (
            level + gain + rng.normal(0, of_seed, (seeds, 1)) + rng.normal(0, 0.05, (seeds, cases))
            for gain in (0.03, 0.0)
        )
        interval = crossed_bootstrap(arm, reference, rng, draws=400)
        assert interval.estimate == pytest.approx(arm.mean() - reference.mean())
        held += interval.low <= 0.03 <= interval.high
    assert held / 300 >= 0.91, held / 300


HOLD_OUTS = np.stack([np.random.default_rng(split).permutation(30) < 24 for split in range(5)])
DRAWS = np.repeat(np.arange(3)[:, None] == np.arange(18) % 3, 2, axis=0)  # two draws in each of three folds
FEW_TWICE = np.stack([np.random.default_rng(split).permutation(100) < 20 for split in range(5)])
ONE_MORE = np.concatenate(
    [np.arange(5)[:, None] == np.arange(30) % 5, np.arange(30)[None] < 12]
)  # five folds, a hold-out
ALONE = np.array([[1, 1, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 1, 1]], bool)  # the last split shares no case


@pytest.mark.parametrize(("there", "df"), [(HOLD_OUTS, 4), (DRAWS, 3), (FEW_TWICE, 4), (ONE_MORE, 5), (ALONE, 1)])
def test_what_splits_add_to_the_variance_is_estimated_without_bias(there, df):
    rng = np.random.default_rng(0)
    means, squares = [], []
    there = there[:, there.any(axis=0)]
    for _ in range(4000):
        differences = np.where(there, rng.normal(size=(len(there), 1)), np.nan)
        effects = split_effects(differences)
        means.append(np.nanmean(differences, axis=0).mean())
        squares.append((effects.of_split**2).sum())
        assert effects.df == df
    assert np.mean(squares) == pytest.approx(np.var(means), rel=0.1)


def test_splits_that_share_no_case_leave_the_bootstrap_as_it_was():
    folds = np.where(np.arange(3)[:, None] == np.arange(12) % 3, 0.1, np.nan)
    assert split_effects(folds).df == 0
    arm, reference = RNG.random((2, 12)), RNG.random((2, 12))
    both = [crossed_bootstrap(arm, reference, np.random.default_rng(1), 200, splits=each) for each in (None, folds)]
    assert both[0] == both[1]


def test_what_hold_outs_scatter_by_widens_the_interval():
    differences = np.where(HOLD_OUTS, np.array([-0.2, -0.1, 0.0, 0.1, 0.2])[:, None], np.nan)
    arm = np.nanmean(differences, axis=0)[None]
    narrow = crossed_bootstrap(arm, np.zeros_like(arm), np.random.default_rng(0))
    wide = crossed_bootstrap(arm, np.zeros_like(arm), np.random.default_rng(0), splits=differences)
    assert wide.high - wide.low > 4 * (narrow.high - narrow.low)


def test_bootstrap_pairs_cases_but_not_seeds():
    """What is the same in both arms of a case cancels out; what differs between seeds does not."""
    cases = np.random.default_rng(1).normal(size=(1, 50)) * 100
    paired = crossed_bootstrap(np.repeat(cases + 1, 3, 0), np.repeat(cases, 3, 0), np.random.default_rng(0), 200)
    assert (paired.low, paired.high) == (pytest.approx(1), pytest.approx(1))
    seeds = np.array([[-1.0], [0.0], [1.0]]) + np.zeros((3, 50))
    unpaired = crossed_bootstrap(seeds, seeds, np.random.default_rng(0), 2000)
    assert unpaired.low < -0.8
    assert unpaired.high > 0.8


def test_effect_size():
    reference = np.zeros((2, 4))
    arm = np.tile([1.0, 2.0, 3.0, 4.0], (2, 1))
    assert effect_size(arm, reference) == pytest.approx(2.5 / np.std([1, 2, 3, 4], ddof=1))
    assert effect_size(arm, arm) == 0
    assert effect_size(arm + 0.1, arm) == np.inf
    assert effect_size(arm - 0.1, arm) == -np.inf


@pytest.mark.parametrize("alpha", [0.05, 0.025, 0.0125])
def test_so_few_cases_can_never_be_significant(alpha):
    fewest = fewest_cases(alpha)
    for cases, possible in ((fewest - 1, False), (fewest, True)):
        assert (wilcoxon(np.ones((1, cases)) * np.arange(1, cases + 1), np.zeros((1, cases))).p < alpha) is possible


@pytest.mark.parametrize(("sd", "cases"), [(0.1, 12), (0.2, 200)])
def test_a_detectable_difference_is_detected_as_often_as_it_says(sd, cases):
    difference = detectable_difference(sd, cases, power=0.8)
    samples = np.random.default_rng(0).normal(difference, sd, (4000, cases))
    tested: Any = stats.ttest_1samp(samples, 0, axis=1)
    found = tested.pvalue < 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.025)


@pytest.mark.parametrize(
    ("interval", "p", "expected"),
    [
        ((0.02, 0.01, 0.03), 0.01, "TF is better than nnU-Net (+0.020 Dice, 95 % interval +0.010 to +0.030, p = 0.01)"),
        ((-0.02, -0.03, -0.01), 0.01, "TF is worse than nnU-Net"),
        ((0.02, -0.01, 0.03), 0.01, "There is no evidence that TF differs from nnU-Net"),
        ((0.02, 0.01, 0.03), 0.2, "There is no evidence that TF differs"),
    ],
)
def test_the_sentence_claims_nothing_that_chance_explains(interval, p, expected):
    comparison = Comparison(Interval(*interval), Significance(0.0, p), 0.1, Interval(*interval))
    assert sentence("TF", "nnU-Net", comparison, trainings=2).startswith(expected)
    adjusted = Comparison(Interval(*interval), Significance(0.0, p), 0.1, Interval(*interval), adjusted_p=0.5)
    assert sentence("TF", "nnU-Net", adjusted, trainings=2).startswith("There is no evidence")
    single = sentence("TF", "nnU-Net", comparison, trainings=1)
    assert single.startswith("One training of each is no evidence that TF differs from nnU-Net (")
    assert "two trainings of the same arm may differ as much" in single


def test_with_two_trainings_that_differ_by_chance_nothing_is_claimed_too_often():
    """No true difference; trainings scatter by .01, far more than the mean over 200 cases does."""
    claims = 0
    for trial in range(100):
        rng = np.random.default_rng(trial)
        level = rng.normal(0.6, 0.2, 200)
        arm, reference = (level + rng.normal(0, 0.01, (3, 1)) + rng.normal(0, 0.05, (3, 200)) for _ in range(2))
        comparison = compare(arm, reference, rng)
        claims += not sentence("a", "b", comparison, trainings=3).startswith("There is no evidence")
    assert claims / 100 <= 0.08, claims / 100


def test_of_several_comparisons_each_needs_a_wider_interval():
    arm, reference = RNG.random((3, 10)) + 0.2, RNG.random((3, 10))
    alone, one_of_ten = (compare(arm, reference, np.random.default_rng(4), together=number) for number in (1, 10))
    assert alone.strict == alone.difference == one_of_ten.difference
    assert one_of_ten.strict.low < alone.strict.low
    assert one_of_ten.strict.high > alone.strict.high
    adjusted = Comparison(Interval(0.02, 0.01, 0.03), Significance(0.0, 0.01), 0.1, Interval(0.02, -0.01, 0.04))
    assert sentence("TF", "nnU-Net", adjusted, trainings=2).startswith("There is no evidence")


def test_compare_is_reproducible():
    arm, reference = RNG.random((3, 10)), RNG.random((3, 10))
    one, other = (compare(arm, reference, np.random.default_rng(4)) for _ in range(2))
    assert one == other
