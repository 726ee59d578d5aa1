"""Statistics of the difference between two arms. In: scores by seed and case. Out: tests, intervals, a sentence.

Scores are arrays (seeds, cases): every model validates on the same cases, so cases are paired between arms and seeds
are not. The tests over seeds' means are the paper's own, and reproduce its tables.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize, stats
from scipy.sparse import csgraph

ALPHA = 0.05
EXACT_CASES = 50  # up to so many cases Wilcoxon's p is exact, also with ties


@dataclass(frozen=True)
class Significance:
    """The result of a two-sided test."""

    statistic: float
    p: float
    df: float | None = None


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """One arm compared with another on the same cases."""

    difference: Interval  # mean of the arm minus mean of the reference, with interval by crossed bootstrap
    wilcoxon: Significance  # over cases, each the mean over its seeds
    effect: float  # mean of the cases' differences in units of their standard deviation
    strict: Interval  # the same interval, wide enough for all comparisons that are made together; equal if it is one
    adjusted_p: float | None = None  # after Holm's correction over all comparisons


def student_from_summary(m1: float, s1: float, n1: int, m2: float, s2: float, n2: int) -> Significance:
    """Do Student's t-test of two means, with pooled variance, from means, standard deviations and numbers."""
    df = n1 + n2 - 2
    pooled = ((n1 - 1) * s1**2 + (n2 - 1) * s2**2) / df
    return _t_test(m1 - m2, pooled * (1 / n1 + 1 / n2), df)


def welch_from_summary(m1: float, s1: float, n1: int, m2: float, s2: float, n2: int) -> Significance:
    """Do Welch's t-test of two means, which does not assume equal variances, from the same numbers."""
    a, b = s1**2 / n1, s2**2 / n2
    spread = a**2 / (n1 - 1) + b**2 / (n2 - 1)
    df = (a + b) ** 2 / spread if spread else float(n1 + n2 - 2)
    return _t_test(m1 - m2, a + b, df)


def _t_test(difference: float, variance: float, df: float) -> Significance:
    if variance == 0:
        return Significance(math.copysign(math.inf, difference), 0.0, df) if difference else Significance(0.0, 1.0, df)
    statistic = difference / math.sqrt(variance)
    return Significance(statistic, float(2 * stats.t.sf(abs(statistic), df)), df)


def wilcoxon(arm: np.ndarray, reference: np.ndarray) -> Significance:
    """Do Wilcoxon's signed-rank test over cases, each the mean over its arm's seeds; p is 1 if nothing differs."""
    differences = _case_means(arm) - _case_means(reference)
    different = differences[differences != 0]
    if not different.size:
        return Significance(0.0, 1.0)
    if different.size > EXACT_CASES:
        test: Any = stats.wilcoxon(different, method="approx")
        return Significance(float(test.statistic), float(test.pvalue))
    ranks = np.rint(2 * stats.rankdata(abs(different))).astype(int)  # twice the ranks: ties have halves
    ways = np.ones(1)  # in which signs give each sum of the positive ranks
    for rank in ranks:
        ways = np.pad(ways, (0, rank)) + np.pad(ways, (rank, 0))
    smaller = min(ranks[different > 0].sum(), ranks[different < 0].sum())
    return Significance(smaller / 2, float(min(1.0, 2 * ways[: smaller + 1].sum() / ways.sum())))


def crossed_bootstrap(
    arm: np.ndarray,
    reference: np.ndarray,
    rng: np.random.Generator,
    draws: int = 10_000,
    splits: np.ndarray | None = None,
    alpha: float = ALPHA,
) -> Interval:
    """Bootstrap the difference of means: cases are drawn once for both arms, seeds for each arm by itself.

    Drawing n seeds out of n with replacement underestimates the variance between seeds if n is small. So the deviation
    that a draw of seeds causes is multiplied by sqrt(n / (n - 1)), which makes its variance unbiased, and by the ratio
    of Student's quantile to the normal's. With a single seed there is no such deviation.

    Args:
        arm: scores (seeds, cases), means over the splits that a case validates in
        reference: the same of the other arm
        rng: source of randomness
        draws: how many
        splits: differences (splits, cases) of the arms, means over seeds, NaN where a case does not validate. Where
            cases validate in several splits, splits are drawn instead of seeds: each is trained by itself, so what
            they scatter by holds what seeds scatter by.
        alpha: how often the truth may lie outside
    """
    cases = arm.shape[1]
    drawn = rng.integers(cases, size=(draws, cases))
    effects = None if splits is None else split_effects(splits)
    if effects is not None and effects.df > 0:
        per_case = np.broadcast_to(arm.mean(axis=0) - reference.mean(axis=0), (draws, cases))
        shift = _student_stretch(effects.df, alpha) * (
            rng.normal(size=(draws, len(effects.of_split))) @ effects.of_split
        )
    else:
        stretch = _student_stretch(len(arm) + len(reference) - 2, alpha)
        per_case = np.subtract(*(_drawn_seeds(scores, rng, draws, stretch) for scores in (arm, reference)))
        shift = 0.0
    differences = np.take_along_axis(per_case, drawn, axis=1).mean(axis=1) + shift
    low, high = np.quantile(differences, [alpha / 2, 1 - alpha / 2])
    return Interval(float(arm.mean() - reference.mean()), float(low), float(high))


@dataclass(frozen=True)
class SplitEffects:
    """How much each split moves the mean over cases, and how many of these figures are free."""

    of_split: np.ndarray
    df: int


def split_effects(differences: np.ndarray) -> SplitEffects:
    """Estimate what splits contribute to the mean over cases, of which each counts once: its mean over its splits.

    A case's score in a split is set against the mean of the same case in its other splits. If splits shift scores by
    independent u of variance s², that difference has the variance s² (1 + sum of b²), b being the weights of the other
    splits; divided by its root, the shifts' squares are s² without bias. A shift counts with the weight of all cases of
    its split, also of those that validate once; a split of which none validates twice has the root mean square of the
    others' shifts. Splits that share no case cannot be compared, so each set of connected splits costs one degree of
    freedom.

    Args:
        differences: (splits, cases), NaN where a case does not validate in a split
    """
    there = ~np.isnan(differences)
    times = there.sum(axis=0)
    repeated = there[:, times > 1]
    if not repeated.size:
        return SplitEffects(np.zeros(len(differences)), 0)
    of_all = (there / (times * differences.shape[1])).sum(axis=1)  # weight of a split in the mean over all cases
    values, times = np.nan_to_num(differences[:, times > 1]), times[times > 1]
    others = (values.sum(axis=0) - values) / (times - 1)
    weight = repeated / times
    total = np.maximum(weight.sum(axis=1), 1e-12)
    share = (weight / (times - 1)) @ repeated.T / total[:, None]
    np.fill_diagonal(share, 0.0)
    shifts = (weight * (values - others)).sum(axis=1) / total / np.sqrt(1 + (share**2).sum(axis=1))
    compared = repeated.any(axis=1)
    shifts[~compared] = np.sqrt((shifts[compared] ** 2).mean())
    connected, _ = csgraph.connected_components(repeated.astype(int) @ repeated.T.astype(int))
    return SplitEffects(of_all * shifts, len(differences) - int(connected))


def _drawn_seeds(scores: np.ndarray, rng: np.random.Generator, draws: int, stretch: float) -> np.ndarray:
    """Return (draws, cases): means over seeds drawn with replacement, with their deviation from the mean stretched."""
    seeds = len(scores)
    mean = scores.mean(axis=0)
    if seeds == 1:
        return np.broadcast_to(mean, (draws, len(mean)))
    counts = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws) / seeds
    return mean + stretch * math.sqrt(seeds / (seeds - 1)) * (counts @ scores - mean)


def _student_stretch(df: int, alpha: float) -> float:
    return float(stats.t.isf(alpha / 2, df) / stats.norm.isf(alpha / 2)) if df > 0 else 1.0


def holm(ps: Sequence[float]) -> list[float]:
    """Return p-values after Holm's step-down correction, in the given order."""
    order = np.argsort(ps, kind="stable")
    adjusted = [0.0] * len(ps)
    highest = 0.0
    for rank, index in enumerate(order.tolist()):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = highest
    return adjusted


def effect_size(arm: np.ndarray, reference: np.ndarray) -> float:
    """Return Cohen's d of paired cases; 0 if nothing differs, infinite if all differ alike."""
    differences = _case_means(arm) - _case_means(reference)
    mean, spread = float(differences.mean()), float(differences.std(ddof=1)) if differences.size > 1 else 0.0
    if spread < 1e-12:
        return math.copysign(math.inf, mean) if abs(mean) > 1e-12 else 0.0
    return mean / spread


def detectable_difference(sd: float, cases: int, power: float = 0.8, alpha: float = ALPHA) -> float:
    """Return the smallest true difference that a paired t-test over so many cases detects with this power.

    Args:
        sd: standard deviation of the cases' differences
        cases: number of cases
        power: probability with which it is to be detected
        alpha: two-sided significance level
    """
    df = cases - 1
    critical = float(stats.t.isf(alpha / 2, df))

    def missed(shift: float) -> float:  # differences detected in the wrong direction do not count
        return power - float(stats.nct.sf(critical, df, shift))

    shift = float(optimize.brentq(missed, 1e-9, 3 * critical + 5))  # type: ignore[arg-type]
    return sd * shift / math.sqrt(cases)


def fewest_cases(alpha: float) -> int:
    """Return how many cases Wilcoxon's test needs before it can be significant: its smallest p is 2 / 2^n."""
    return math.ceil(1 - math.log2(alpha) + 1e-9)


def compare(
    arm: np.ndarray,
    reference: np.ndarray,
    rng: np.random.Generator,
    splits: np.ndarray | None = None,
    together: int = 1,
) -> Comparison:
    """Compare an arm with a reference by all statistics.

    Args:
        arm: scores (seeds, cases)
        reference: the same of the other arm
        rng: source of randomness
        splits: as for crossed_bootstrap
        together: how many comparisons are made at once
    """
    strict = interval = crossed_bootstrap(arm, reference, rng, splits=splits)
    if together > 1:
        strict = crossed_bootstrap(arm, reference, rng, splits=splits, alpha=ALPHA / together)
    return Comparison(interval, wilcoxon(arm, reference), effect_size(arm, reference), strict)


def sentence(name: str, reference: str, comparison: Comparison, trainings: int) -> str:
    """Return a sentence about a comparison; it claims no difference that chance may explain.

    Args:
        name: the arm's name
        reference: the arm it is compared with
        comparison: of the mean Dice
        trainings: how many of the arm that has fewer segmented a case; one cannot tell arms apart from trainings
    """
    difference = comparison.difference
    p = comparison.wilcoxon.p if comparison.adjusted_p is None else comparison.adjusted_p
    numbers = f"{difference.estimate:+.3f} Dice, 95 % interval {difference.low:+.3f} to {difference.high:+.3f}"
    strict = comparison.strict
    significant = p < ALPHA and (strict.low > 0 or strict.high < 0)
    if significant and trainings > 1:
        return (
            f"{name} is {'better' if difference.estimate > 0 else 'worse'} than {reference} ({numbers}, p = {p:.3g})."
        )
    if trainings > 1:
        return f"There is no evidence that {name} differs from {reference} ({numbers}, p = {p:.3g})."
    return (
        f"One training of each is no evidence that {name} differs from {reference} ({numbers}, p = {p:.3g}): interval "
        "and p tell how much the cases scatter, not how much trainings do, and two trainings of the same arm may "
        "differ as much."
    )


def _case_means(scores: np.ndarray) -> np.ndarray:
    return scores.mean(axis=0)
