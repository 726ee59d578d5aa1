"""The tables of a benchmark. In: rows of benchmark.csv. Out: tables in the paper's layout and beyond, and sentences."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nnunetv2_tf.benchmark import paper
from nnunetv2_tf.benchmark.comparisons import (
    MEAN,
    METRICS,
    Finding,
    Scores,
    SeedSummary,
    arrange,
    findings,
    paper_layout,
    scatter_of_seeds,
)
from nnunetv2_tf.benchmark.matrix import Matrix
from nnunetv2_tf.benchmark.scores import Row
from nnunetv2_tf.benchmark.statistics import detectable_difference, sentence
from nnunetv2_tf.benchmark.tables import Table

LESION_SIZES = (0.0, 500.0, 5000.0, float("inf"))  # mm³
BOOTSTRAP_SEED = 0


@dataclass(frozen=True)
class Report:
    """What was found on one dataset."""

    dice: Scores
    findings: tuple[Finding, ...]  # of all metrics
    tables: tuple[Table, ...]
    sentences: tuple[str, ...]


def make_report(rows: Sequence[Row], matrix: Matrix, dataset: str) -> Report | None:
    """Compares what is there; None when no training of the dataset is complete."""
    scores = {metric: arrange(rows, matrix, dataset, metric) for metric in METRICS}
    dice = scores["Dice"]
    if not dice.values:
        return None
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    found = [finding for metric in METRICS for finding in findings(scores[metric], matrix, rng)]
    tables = (
        _paper_table(rows, dice, matrix),
        _comparison_table([finding for finding in found if finding.metric == "Dice"], matrix),
        _metric_table(scores, found),
        _lesion_table(rows, dice),
    )
    return Report(dice, tuple(found), tables, tuple(_sentences(found, dice)))


def _paper_table(rows: Sequence[Row], dice: Scores, matrix: Matrix) -> Table:
    """Table 1 of the paper, beside the paper's own numbers where the regions are its own."""
    summaries = paper_layout(rows, dice)
    baseline = summaries.get(matrix.baseline)
    beside = dice.regions == paper.COLUMNS[:-1]
    tests = ("difference", "p (Student)", "p (Welch)")
    header = ("arm", "seeds", *dice.outcomes, *tests)
    if beside:
        header += tuple(f"paper: {name}" for name in (*paper.COLUMNS, *tests))
    lines = []
    for arm in matrix.arms:
        if arm.name not in summaries:
            continue
        row = summaries[arm.name]
        cells = [arm.name, str(row[MEAN].seeds), *(_spread(row[outcome]) for outcome in dice.outcomes)]
        cells += _tests(row[MEAN], baseline[MEAN] if baseline and arm.name != matrix.baseline else None)
        if beside:
            cells += _papers(arm.method, arm.num_cases)
        lines.append(tuple(cells))
    notes = [
        "Dice in percent as nnU-Net reports it: cases in which a region is neither there nor predicted do not count; "
        f"mean ± standard deviation over training seeds, {len(dice.cases)} validation cases. The t-tests are over "
        "seeds' means, as in the paper, and take no account of how few the cases are."
    ]
    if beside:
        notes.append(
            "Paper: BraTS 2023, 100 labelled T1 scans and as many synthetic ones, three seeds, 200 cases held out; its "
            "p-values are Student's, Welch's are computed from its means and standard deviations."
        )
    return Table(f"{dice.dataset}: Dice in the paper's layout", header, tuple(lines), tuple(notes))


def _comparison_table(found: Sequence[Finding], matrix: Matrix) -> Table:
    header = ("arm", "outcome", "difference", "95 % interval", "p (Wilcoxon)", "p (Holm)", "effect size", "cases")
    rows = tuple(_comparison_cells(finding) for finding in found)
    notes = (
        "Dice per case, 1 where a region is neither there nor predicted (BraTS). Intervals: crossed bootstrap, cases "
        "drawn once for both arms, seeds for each by itself. Wilcoxon: over cases, each the mean over its seeds. Holm: "
        "corrected over the arms. Effect size: mean of the cases' differences over their standard deviation.",
    )
    return Table(f"Dice against {matrix.baseline}, case by case", header, rows, notes)


def _comparison_cells(finding: Finding) -> tuple[str, ...]:
    comparison = finding.comparison
    difference = comparison.difference
    interval = f"{difference.low:+.3f} to {difference.high:+.3f}"
    ps = (f"{comparison.wilcoxon.p:.3g}", f"{comparison.adjusted_p:.3g}")
    effect = f"{comparison.effect:+.2f}"
    return (finding.arm, finding.outcome, f"{difference.estimate:+.3f}", interval, *ps, effect, str(finding.cases))


def _metric_table(scores: dict[str, Scores], found: Sequence[Finding]) -> Table:
    """All metrics, in the mean over regions and cases, with the differences to the baseline."""
    differences = {
        (finding.metric, finding.arm): finding.comparison.difference for finding in found if finding.outcome == MEAN
    }
    rows = []
    for arm in scores["Dice"].values:
        cells = [arm]
        for metric, values in scores.items():
            difference = differences.get((metric, arm))
            change = f" ({difference.low:+.2f} to {difference.high:+.2f})" if difference else ""
            cells.append(f"{values.of(arm, MEAN).mean():.2f}{change}")
        rows.append(tuple(cells))
    notes = (
        "Means over regions, in brackets the 95 % interval of the difference to the baseline. Lesion-wise metrics as "
        "in BraTS 2023; distances in mm, 374 where only one of truth and prediction is empty; NSD at 1 mm.",
    )
    return Table("Other metrics", ("arm", *scores), tuple(rows), notes)


def _lesion_table(rows: Sequence[Row], dice: Scores) -> Table:
    """How many true lesions of each size a prediction overlaps."""
    bins = [
        (f"{low:g} to {high:g} mm³" if high < LESION_SIZES[-1] else f"≥ {low:g} mm³", low, high)
        for low, high in pairwise(LESION_SIZES)
    ]
    lines = []
    for arm in dice.values:
        for region in dice.regions:
            scores = [
                row.score for row in rows if (row.dataset, row.arm, row.score.region) == (dice.dataset, arm, region)
            ]
            lesions = [pair for score in scores for pair in zip(score.lesions_mm3, score.lesions_found, strict=True)]
            cells = []
            for _, low, high in bins:
                hits = [found for size, found in lesions if low <= size < high]
                cells.append(f"{sum(hits)} of {len(hits)}")
            lines.append((arm, region, *cells, str(sum(score.lesions_false for score in scores))))
    header = ("arm", "region", *(name for name, _, _ in bins), "false lesions")
    return Table("Lesions found, by size", header, tuple(lines), ("Over all cases and trainings.",))


def _sentences(found: Sequence[Finding], dice: Scores) -> list[str]:
    """One sentence per arm about the mean Dice, and what bounds it."""
    lines = []
    for finding in found:
        if (finding.metric, finding.outcome) != ("Dice", MEAN):
            continue
        text = sentence(finding.arm, finding.comparison)
        if min(finding.seeds) < 2:
            text += " One training per arm cannot tell how much trainings differ by themselves."
        lines.append(text)
    for arm in dice.values:
        spread = scatter_of_seeds(dice, arm)
        if spread is not None:
            lines.append(f"Two trainings of {arm} differ on a case by {spread:.3f} Dice (standard deviation).")
    return lines


def detectable(cases: int, sd: float, assumed: bool) -> str:
    """What a benchmark of so many cases can find at all."""
    source = "assumed; -sd sets it" if assumed else "seen"
    if cases < 3:
        return f"With {cases} validation cases no difference can be told from chance; validate on more."
    return (
        f"With {cases} validation cases whose differences scatter by {sd:.2f} Dice ({source}), a true mean difference "
        f"of {detectable_difference(sd, cases):.3f} Dice is found four times in five; smaller ones are often missed."
    )


def _spread(summary: SeedSummary) -> str:
    return f"{summary.mean:.2f}" + (f" ± {summary.sd:.2f}" if summary.seeds > 1 else "")


def _tests(summary: SeedSummary, baseline: SeedSummary | None) -> list[str]:
    if baseline is None:
        return ["-", "-", "-"]
    tests = summary.against(baseline)
    ps = ["-", "-"] if tests is None else [f"{test.p:.3f}" for test in tests]
    return [f"{summary.mean - baseline.mean:+.2f}", *ps]


def _papers(method: str | None, num_cases: int | None) -> list[str]:
    """The paper's cells for an arm."""
    row, reference = paper.printed(method, num_cases), paper.printed(None, None)
    if row is None or reference is None:
        return ["-"] * (len(paper.COLUMNS) + 3)
    ours = [SeedSummary(mean, sd, paper.SEEDS) for mean, sd in zip(row.mean, row.sd, strict=True)]
    baseline = SeedSummary(reference.mean[-1], reference.sd[-1], paper.SEEDS)
    return [*map(_spread, ours), *_tests(ours[-1], None if method is None else baseline)]
