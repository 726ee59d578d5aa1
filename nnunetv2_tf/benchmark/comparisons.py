"""Comparisons of arms with the baseline. In: rows of benchmark.csv. Out: scores (seeds, cases), findings, summaries."""

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
from nnunetv2_tf.dataset.folders import Dataset

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
    """One metric of all arms on one dataset, on the folds that all arms have; a seed that lacks a fold is left out."""

    dataset: str
    train_cases: int | None  # labelled cases that arms trained on; None: all of the fold
    metric: str
    regions: tuple[str, ...]
    folds: tuple[int, ...]
    cases: tuple[str, ...]
    seeds: dict[str, tuple[int, ...]]  # by arm
    values: dict[str, np.ndarray]  # by arm: (seeds, folds, cases, regions), NaN where a case does not validate

    @property
    def title(self) -> str:
        """The dataset, and how many labelled cases."""
        return self.dataset if self.train_cases is None else f"{self.dataset}, {self.train_cases} labelled cases"

    def holds(self, row: Row) -> bool:
        """Return whether a row is part of these scores."""
        return (row.dataset, row.train_cases) == (self.dataset, self.train_cases) and (
            row.fold in self.folds and row.seed in self.seeds.get(row.arm, ())
        )

    def of(self, arm: str, outcome: str) -> np.ndarray:
        """Return (seeds, cases): an arm's scores for a region or the mean of regions, means over a case's folds."""
        return np.nanmean(self._outcome(arm, outcome), axis=1)

    def by_fold(self, arm: str, outcome: str) -> np.ndarray:
        """Return (folds, cases): the same scores, means over seeds; NaN where a case does not validate."""
        return self._outcome(arm, outcome).mean(axis=0)

    def _outcome(self, arm: str, outcome: str) -> np.ndarray:
        values = self.values[arm]
        return values.mean(axis=3) if outcome == MEAN else values[..., self.regions.index(outcome)]

    def trainings_per_case(self, arm: str) -> int:
        """Return how many trainings of an arm segmented a case, at least."""
        return int((~np.isnan(self.values[arm][..., 0])).sum(axis=(0, 1)).min())

    @property
    def outcomes(self) -> tuple[str, ...]:
        """The regions, and the mean over them."""
        return (*self.regions, MEAN)


@dataclass(frozen=True)
class Finding:
    """One arm compared with the baseline, in one metric and outcome."""

    dataset: str
    metric: str
    outcome: str
    arm: str
    trainings: int  # that segmented each case, at least, of the arm that has fewer
    cases: int
    comparison: Comparison
    train_cases: int | None = None


@dataclass(frozen=True)
class SeedSummary:
    """Mean and standard deviation of the seeds' means, as the paper reports; Dice in percent."""

    mean: float
    sd: float
    seeds: int
    cases: tuple[int, ...] = ()  # how many cases count; several numbers where seeds differ

    def against(self, other: "SeedSummary") -> tuple[Significance, Significance] | None:
        """Return Student's and Welch's t-test over seeds; None when one of the two has a single seed."""
        if min(self.seeds, other.seeds) < 2:
            return None
        numbers = (self.mean, self.sd, self.seeds, other.mean, other.sd, other.seeds)
        return student_from_summary(*numbers), welch_from_summary(*numbers)


def arrange(rows: Sequence[Row], matrix: Matrix, dataset: str, metric: str, train_cases: int | None = None) -> Scores:
    """Arrange the scores of one dataset as arrays. Trainings of the same fold have the same cases."""
    take = METRICS[metric]
    rows = [row for row in rows if (row.dataset, row.train_cases) == (dataset, train_cases)]
    regions = _paper_order(tuple(dict.fromkeys(row.score.region for row in rows)))
    finished: dict[str, dict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
    for row in rows:
        finished[row.arm][row.seed].add(row.fold)
    most = [max(by_seed.values(), key=len) for by_seed in finished.values()]
    folds = tuple(sorted(set.intersection(*most))) if most else ()
    cases = tuple(sorted({row.case for row in rows if row.fold in folds}))
    seeds = {
        arm.name: complete
        for arm in matrix.arms
        if folds and (complete := tuple(seed for seed, of in sorted(finished[arm.name].items()) if of >= set(folds)))
    }
    values = {arm: np.full((len(seeds[arm]), len(folds), len(cases), len(regions)), np.nan) for arm in seeds}
    for row in rows:
        if row.fold in folds and row.seed in seeds.get(row.arm, ()):
            place = (seeds[row.arm].index(row.seed), folds.index(row.fold), cases.index(row.case))
            values[row.arm][(*place, regions.index(row.score.region))] = take(row.score)
    return Scores(dataset, train_cases, metric, regions, folds, cases, seeds, values)


def left_out(rows: Sequence[Row], scores: Scores, matrix: Matrix) -> list[str]:
    """Return sentences about trainings that a comparison lacks, or cannot use."""
    sentences = []
    for arm in matrix.arms:
        if arm.name not in scores.values:
            sentences.append(f"{arm.name} is not compared: it has no training on all of these folds yet.")
        elif len(scores.seeds[arm.name]) < len(matrix.seeds):
            finished = ", ".join(map(str, scores.seeds[arm.name]))
            sentences.append(f"Of {arm.name} only seed {finished} of {len(matrix.seeds)} seeds is finished.")
    wanted = [use for use in matrix.uses(Dataset(scores.dataset)) if use.train_cases == scores.train_cases]
    if len(scores.folds) < len(wanted):
        finished = ", ".join(map(str, scores.folds)) or "none"
        sentences.append(f"Only folds that all arms have finished are compared: {finished} of {len(wanted)}.")
    here = [row for row in rows if (row.dataset, row.train_cases) == (scores.dataset, scores.train_cases)]
    unused = {(row.arm, row.fold, row.seed) for row in here if not scores.holds(row)}
    if unused:
        sentences.append(f"{len(unused)} finished trainings wait for others and are only in benchmark.csv.")
    return sentences


def findings(points: Sequence[Scores], matrix: Matrix, rng: np.random.Generator) -> list[Finding]:
    """Compare every arm with the baseline, in every outcome, at every number of labelled cases.

    p-values, and the intervals that claims need, are corrected over the arms and these numbers.
    """
    reference = matrix.baseline
    points = [scores for scores in points if reference in scores.values]
    results = []
    for outcome in dict.fromkeys(outcome for scores in points for outcome in scores.outcomes):
        raw: list[Finding] = []
        together = sum(arm != reference for scores in points for arm in scores.values)
        for scores in points:
            for arm in (arm for arm in scores.values if arm != reference):
                pair = (scores.of(arm, outcome), scores.of(reference, outcome))
                splits = scores.by_fold(arm, outcome) - scores.by_fold(reference, outcome)
                comparison = compare(*pair, rng, splits, together)
                trainings = min(map(scores.trainings_per_case, (arm, reference)))
                names = (scores.dataset, scores.metric, outcome, arm)
                raw.append(Finding(*names, trainings, len(scores.cases), comparison, scores.train_cases))
        adjusted = holm([finding.comparison.wilcoxon.p for finding in raw])
        for finding, p in zip(raw, adjusted, strict=True):
            results.append(replace(finding, comparison=replace(finding.comparison, adjusted_p=p)))
    order = [arm.name for arm in matrix.arms]
    return sorted(results, key=lambda finding: order.index(finding.arm))


def paper_layout(rows: Sequence[Row], scores: Scores) -> dict[str, dict[str, SeedSummary | None]]:
    """Return by arm and outcome: nnU-Net's Dice in percent, without regions that are neither there nor predicted."""
    dice: dict[tuple[str, int, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if scores.holds(row) and not np.isnan(row.score.nnunet_dice):
            dice[row.arm, row.seed, row.score.region][row.case].append(row.score.nnunet_dice)
    summaries: dict[str, dict[str, SeedSummary | None]] = {}
    for arm, seeds in scores.seeds.items():
        cells = {
            region: [[float(np.mean(values)) for values in dice[arm, seed, region].values()] for seed in seeds]
            for region in scores.regions
        }
        summaries[arm] = {region: _summary(values) for region, values in cells.items()}
        means = [
            [float(np.mean(values)) for values in column if values] for column in zip(*cells.values(), strict=True)
        ]
        summaries[arm][MEAN] = _summary(means, counted=False)
    return summaries


def scatter_of_seeds(scores: Scores, arm: str) -> float | None:
    """Return how much two trainings of an arm differ on a case, as root mean square; None with one training."""
    values = scores.of(arm, MEAN)
    if len(values) < 2:
        return None
    differences = [first - second for first, second in itertools.combinations(values, 2)]
    return float(np.sqrt(np.mean(np.square(differences))))


def _summary(seeds: Sequence[Sequence[float]], counted: bool = True) -> SeedSummary | None:
    """Return the summary of each seed's values; None when a seed has none."""
    if not all(seeds):
        return None
    means = 100 * np.array([np.mean(values) for values in seeds])
    sd = float(means.std(ddof=1)) if len(means) > 1 else 0.0
    numbers = sorted({len(values) for values in seeds}) if counted else []
    return SeedSummary(float(means.mean()), sd, len(means), tuple(numbers))


def _paper_order(regions: tuple[str, ...]) -> tuple[str, ...]:
    known = paper.COLUMNS[:-1]
    return known if set(regions) == set(known) else regions
