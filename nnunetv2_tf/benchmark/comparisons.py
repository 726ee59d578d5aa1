"""Every arm against the baseline. In: rows of benchmark.csv. Out: scores as (seeds, cases), comparisons, summaries."""

import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nnunetv2_tf.benchmark import paper
from nnunetv2_tf.benchmark.matrix import Matrix
from nnunetv2_tf.benchmark.scores import Row, Score
from nnunetv2_tf.benchmark.statistics import (
    Comparison,
    Significance,
    compare,
    holm,
    student_from_summary,
    welch_from_summary,
)

MEAN = "mean"  # of all regions
METRICS: dict[str, Callable[[Score], float]] = {
    "Dice": lambda score: score.dice,
    "lesion-wise Dice": lambda score: score.lesion_dice,
    "NSD": lambda score: score.nsd,
    "HD95": lambda score: score.hd95,
    "lesion-wise HD95": lambda score: score.lesion_hd95,
}


@dataclass(frozen=True)
class Scores:
    """One metric of all arms on one dataset; seeds for which an arm lacks a case are left out."""

    dataset: str
    metric: str
    regions: tuple[str, ...]
    cases: tuple[str, ...]
    values: dict[str, np.ndarray]  # by arm: (seeds, cases, regions)

    def of(self, arm: str, outcome: str) -> np.ndarray:
        """(seeds, cases) of a region, or of the mean over regions."""
        values = self.values[arm]
        return values.mean(axis=2) if outcome == MEAN else values[:, :, self.regions.index(outcome)]

    @property
    def outcomes(self) -> tuple[str, ...]:
        """The mean over regions, and the regions."""
        return (*self.regions, MEAN)


@dataclass(frozen=True)
class Finding:
    """One arm, one outcome, against the baseline."""

    dataset: str
    metric: str
    outcome: str
    arm: str
    seeds: tuple[int, int]  # trainings of the arm, of the baseline
    cases: int
    comparison: Comparison


@dataclass(frozen=True)
class SeedSummary:
    """Mean and standard deviation over seeds' means, as the paper reports; percent for Dice."""

    mean: float
    sd: float
    seeds: int

    def against(self, other: "SeedSummary") -> tuple[Significance, Significance] | None:
        """Student's and Welch's t-test over seeds; None where one has a single seed."""
        if min(self.seeds, other.seeds) < 2:
            return None
        numbers = (self.mean, self.sd, self.seeds, other.mean, other.sd, other.seeds)
        return student_from_summary(*numbers), welch_from_summary(*numbers)


def arrange(rows: Sequence[Row], matrix: Matrix, dataset: str, metric: str) -> Scores:
    """The scores of one dataset as arrays over the cases that every arm has been validated on."""
    take = METRICS[metric]
    found: dict[str, dict[int, dict[str, dict[str, float]]]] = defaultdict(lambda: defaultdict(dict))
    regions: dict[str, None] = {}
    for row in rows:
        if row.dataset == dataset:
            found[row.arm][row.seed].setdefault(row.case, {})[row.score.region] = take(row.score)
            regions[row.score.region] = None
    names = _paper_order(tuple(regions))
    everywhere = [set(cases) for seeds in found.values() for cases in seeds.values()]
    complete = max((len(cases) for cases in everywhere), default=0)
    cases = sorted(set.union(*everywhere)) if everywhere else []
    values = {}
    for arm in matrix.arms:
        seeds = [found[arm.name][seed] for seed in sorted(found[arm.name]) if len(found[arm.name][seed]) == complete]
        if seeds:
            values[arm.name] = np.array([[[seed[case][name] for name in names] for case in cases] for seed in seeds])
    return Scores(dataset, metric, names, tuple(cases), values)


def findings(scores: Scores, matrix: Matrix, rng: np.random.Generator) -> list[Finding]:
    """Every arm against the baseline, per outcome; p-values corrected over the arms."""
    reference = matrix.baseline
    if reference not in scores.values:
        return []
    arms = [arm for arm in scores.values if arm != reference]
    found = []
    for outcome in scores.outcomes:
        raw = [compare(scores.of(arm, outcome), scores.of(reference, outcome), rng) for arm in arms]
        adjusted = holm([comparison.wilcoxon.p for comparison in raw])
        for arm, comparison, p in zip(arms, raw, adjusted, strict=True):
            seeds = (len(scores.values[arm]), len(scores.values[reference]))
            corrected = replace(comparison, adjusted_p=p)
            found.append(Finding(scores.dataset, scores.metric, outcome, arm, seeds, len(scores.cases), corrected))
    return sorted(found, key=lambda finding: arms.index(finding.arm))


def paper_layout(rows: Sequence[Row], scores: Scores) -> dict[str, dict[str, SeedSummary]]:
    """By arm and outcome: Dice as nnU-Net reports it, in percent; what is neither there nor predicted drops out."""
    dice: dict[tuple[str, int, str], list[float]] = defaultdict(list)
    for row in rows:
        if row.dataset == scores.dataset:
            dice[row.arm, row.seed, row.score.region].append(row.score.nnunet_dice)
    summaries: dict[str, dict[str, SeedSummary]] = {}
    for arm, values in scores.values.items():
        seeds = sorted({seed for name, seed, _ in dice if name == arm})
        complete = [seed for seed in seeds if len(dice[arm, seed, scores.regions[0]]) == len(scores.cases)]
        means = {region: [_nan_mean(dice[arm, seed, region]) for seed in complete] for region in scores.regions}
        means[MEAN] = [float(np.mean(column)) for column in zip(*means.values(), strict=True)]
        assert len(complete) == len(values)
        summaries[arm] = {outcome: _summary(column) for outcome, column in means.items()}
    return summaries


def scatter_of_seeds(scores: Scores, arm: str) -> float | None:
    """How much a case's mean differs between two trainings of one arm: sd; None with a single training."""
    values = scores.of(arm, MEAN)
    if len(values) < 2:
        return None
    differences = [one - other for one, other in itertools.combinations(values, 2)]
    return float(np.concatenate(differences).std(ddof=1))


def _summary(means: Sequence[float]) -> SeedSummary:
    percent = 100 * np.array(means)
    return SeedSummary(float(percent.mean()), float(percent.std(ddof=1)) if len(percent) > 1 else 0.0, len(percent))


def _nan_mean(values: Sequence[float]) -> float:
    there = [value for value in values if not np.isnan(value)]
    return float(np.mean(there)) if there else float("nan")


def _paper_order(regions: tuple[str, ...]) -> tuple[str, ...]:
    known = paper.COLUMNS[:-1]
    return known if set(regions) == set(known) else regions
