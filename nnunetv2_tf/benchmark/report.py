"""The report of a benchmark. In: rows of benchmark.csv. Out: tables, one of them as in the paper, and sentences."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nnunetv2_tf.benchmark import paper
from nnunetv2_tf.benchmark.arm import Arm
from nnunetv2_tf.benchmark.comparisons import (
    MEAN,
    METRICS,
    Finding,
    Scores,
    SeedSummary,
    arrange,
    findings,
    left_out,
    paper_layout,
    scatter_of_seeds,
)
from nnunetv2_tf.benchmark.matrix import Matrix
from nnunetv2_tf.benchmark.scores import Row
from nnunetv2_tf.benchmark.statistics import ALPHA, detectable_difference, fewest_cases, sentence
from nnunetv2_tf.benchmark.tables import Table

LESION_SIZES = (0.0, 500.0, 5000.0, float("inf"))  # mm³
METRICS_2026 = {
    "hd95_2026": "HD95", "nsd_2026": "NSD (0.5 mm)", "lesion_dice_2026": "lesion-wise Dice",
    "lesion_hd95_2026": "lesion-wise HD95", "lesion_nsd_2026": "lesion-wise NSD", "lesion_f1_2026": "lesion F1",
}  # fmt: skip
BOOTSTRAP_SEED = 0
ASSUMED_SD = 0.1  # of the cases' differences in Dice, as in small cohorts


@dataclass(frozen=True)
class Report:
    """The results on one dataset, for one number of labelled cases."""

    dice: Scores
    findings: tuple[Finding, ...]  # of all metrics
    tables: tuple[Table, ...]
    sentences: tuple[str, ...]


def make_reports(
    rows: Sequence[Row], matrix: Matrix, dataset: str, labelled: int = paper.LABELLED
) -> list[Report]:  # fmt: skip
    """Report on the trainings of a dataset that are finished, a report per number of labelled cases.

    Where the arms have no fold in common there is no report.

    Args:
        rows: of benchmark.csv
        matrix: whose trainings they are
        dataset: the one to report on
        labelled: cases that train in its first fold, where no other number of them is asked for
    """
    numbers = matrix.train_cases or (None,)
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    points = {
        metric: [scores for number in numbers if (scores := arrange(rows, matrix, dataset, metric, number)).values]
        for metric in METRICS
    }
    results = [finding for metric in METRICS for finding in findings(points[metric], matrix, rng)]
    return [
        _report(
            rows,
            {metric: points[metric][index] for metric in METRICS},
            [finding for finding in results if finding.train_cases == dice.train_cases],
            matrix,
            dice.train_cases or labelled,
        )
        for index, dice in enumerate(points["Dice"])
    ]


def _report(
    rows: Sequence[Row], scores: dict[str, Scores], results: Sequence[Finding], matrix: Matrix, labelled: int
) -> Report:  # fmt: skip
    dice = scores["Dice"]
    tables = (
        _paper_table(rows, dice, matrix, labelled),
        _comparison_table([finding for finding in results if finding.metric == "Dice"], dice.title, matrix.baseline),
        _metric_table(scores, results),
        _table_2026(rows, dice),
        _lesion_table(rows, dice),
    )
    sentences = [*left_out(rows, dice, matrix), *_sentences(results, dice, matrix.baseline)]
    return Report(dice, tuple(results), tables, tuple(f"{dice.title}: {sentence}" for sentence in sentences))


def _paper_table(rows: Sequence[Row], dice: Scores, matrix: Matrix, labelled: int) -> Table:
    """Return table 1 of the paper; where the regions are the paper's, its own numbers stand beside ours."""
    summaries = paper_layout(rows, dice)
    baseline = summaries.get(matrix.baseline, {}).get(MEAN)
    beside = dice.regions == paper.COLUMNS[:-1]
    tests = ("difference", "p (Student)", "p (Welch)")
    header = ("arm", "seeds", *dice.outcomes, *tests)
    if beside:
        header += tuple(f"paper: {name}" for name in ("cases", *paper.COLUMNS, *tests))
    lines = []
    for arm in matrix.arms:
        row = summaries.get(arm.name)
        if row is not None:
            cells = [arm.name, str(len(dice.seeds[arm.name])), *(_spread(row[outcome]) for outcome in dice.outcomes)]
            cells += _tests(row[MEAN], baseline if arm.name != matrix.baseline else None)
            lines.append((*cells, *(_papers(arm, labelled) if beside else ())))
    notes = [
        "Dice in percent as nnU-Net reports it: a case in which a region is neither there nor predicted does not count "
        f"for it (in brackets: how many of {len(dice.cases)} count); mean ± standard deviation over training seeds. "
        "The t-tests are over seeds' means, as in the paper, and take no account of how few the cases are."
    ]
    if beside:
        notes.append(
            "Paper: BraTS 2023, one channel (T1), 100 labelled scans and so many synthetic cases, three seeds, 200 "
            "cases held out. Its p-values are Student's; Welch's are computed from its means and standard deviations."
        )
    return Table(f"{dice.title}: Dice in the paper's layout", header, tuple(lines), tuple(notes))


def _comparison_table(results: Sequence[Finding], title: str, baseline: str) -> Table:
    header = ("arm", "outcome", "difference", "95 % interval", "p (Wilcoxon)", "p (Holm)", "effect size", "cases")
    rows = tuple(_comparison_cells(finding) for finding in results)
    notes = (
        "Dice per case, 1 where a region is neither there nor predicted (BraTS). Intervals: crossed bootstrap, cases "
        "drawn once for both arms, seeds for each by itself; where a case validates in several folds, folds are drawn "
        "instead of seeds. Wilcoxon: over cases, each the mean over its seeds and folds; it knows nothing of how "
        "trainings scatter. Holm: corrected over the arms and numbers of labelled cases. Effect size: mean of the "
        "cases' differences over their standard deviation.",
    )
    return Table(f"{title}: Dice against {baseline}, case by case", header, rows, notes)


def _comparison_cells(finding: Finding) -> tuple[str, ...]:
    comparison = finding.comparison
    difference = comparison.difference
    interval = f"{difference.low:+.3f} to {difference.high:+.3f}"
    ps = (f"{comparison.wilcoxon.p:.3g}", f"{comparison.adjusted_p:.3g}")
    effect = f"{comparison.effect:+.2f}"
    return (finding.arm, finding.outcome, f"{difference.estimate:+.3f}", interval, *ps, effect, str(finding.cases))


def _metric_table(scores: dict[str, Scores], results: Sequence[Finding]) -> Table:
    """Return a table of all metrics, as means over regions and cases, with their differences to the baseline."""
    differences = {
        (finding.metric, finding.arm): finding.comparison.difference for finding in results if finding.outcome == MEAN
    }
    rows = []
    for arm in scores["Dice"].values:
        cells = [arm]
        for metric, values in scores.items():
            digits = 1 if "HD95" in metric else 3
            difference = differences.get((metric, arm))
            change = f" ({difference.low:+.{digits}f} to {difference.high:+.{digits}f})" if difference else ""
            cells.append(f"{values.of(arm, MEAN).mean():.{digits}f}{change}")
        rows.append(tuple(cells))
    notes = (
        "Means over regions, in brackets the 95 % interval of the difference to the baseline. Lesion-wise metrics as "
        "in BraTS 2023; distances in mm, 374 where only one of truth and prediction is empty; NSD at 1 mm.",
    )
    return Table(f"{scores['Dice'].title}: all metrics", ("arm", *scores), tuple(rows), notes)


def _table_2026(rows: Sequence[Row], dice: Scores) -> Table:
    """Return a table of the metrics of BraTS 2026 by arm and region."""
    lines = []
    for arm in dice.seeds:
        for region in dice.regions:
            scores = [row.score for row in rows if (row.arm, row.score.region) == (arm, region) and dice.holds(row)]
            there = [score for score in scores if score.lesion_f1_2026 is not None]
            cells = [
                f"{np.mean([getattr(score, name) for score in there]):.{2 if 'hd95' in name else 3}f}" if there else "-"
                for name in METRICS_2026
            ]
            lines.append((arm, region, *cells, f"{len(there)} of {len(scores)}"))
    notes = (
        "By the constants of BraTS 2026: lesions as they are, matched one to one; lesion-wise means over matched "
        "lesions only, what is missed or false counts in F1; distances pooled over both directions, 373 mm where only "
        "one side is empty; where both are, a case does not count. Means over cases, folds and seeds, without tests.",
    )
    header = ("arm", "region", *METRICS_2026.values(), "segmentations that count")
    return Table(f"{dice.title}: BraTS 2026", header, tuple(lines), notes)


def _lesion_table(rows: Sequence[Row], dice: Scores) -> Table:
    """Return a table of how many true lesions of each size the predictions overlap."""
    bins = [
        (f"{low:g} to {high:g} mm³" if high < LESION_SIZES[-1] else f"≥ {low:g} mm³", low, high)
        for low, high in pairwise(LESION_SIZES)
    ]
    lines = []
    for arm, seeds in dice.seeds.items():
        for region in dice.regions:
            scores = [row.score for row in rows if (row.arm, row.score.region) == (arm, region) and dice.holds(row)]
            lesions = [pair for score in scores for pair in zip(score.lesions_mm3, score.lesions_found, strict=True)]
            cells = [_share([hit for size, hit in lesions if low <= size < high]) for _, low, high in bins]
            false = sum(score.lesions_false for score in scores) / len(scores)
            lines.append((arm, region, str(len(seeds)), *cells, f"{false:.2f}"))
    header = ("arm", "region", "trainings", *(name for name, _, _ in bins), "false lesions per case")
    return Table(f"{dice.title}: lesions found, by size", header, tuple(lines), ("Over all cases and trainings.",))


def _share(hits: Sequence[bool]) -> str:
    return f"{100 * sum(hits) / len(hits):.0f} % of {len(hits)}" if hits else "-"


def _sentences(results: Sequence[Finding], dice: Scores, baseline: str) -> list[str]:
    """Return a sentence per arm about its mean Dice, and one about how much its trainings differ."""
    lines = [
        sentence(finding.arm, baseline, finding.comparison, finding.trainings)
        for finding in results
        if (finding.metric, finding.outcome) == ("Dice", MEAN)
    ]
    for arm in dice.values:
        spread = scatter_of_seeds(dice, arm)
        if spread is not None:
            lines.append(f"Two trainings of {arm} differ on a case by {spread:.3f} Dice (root mean square).")
    return lines


def detectable(cases: int, comparisons: int, sd: float | None) -> str:
    """Return a sentence about the smallest difference that a benchmark can detect.

    Args:
        cases: number of validation cases
        comparisons: how many there are, of arms at numbers of labelled cases; each has to pass Holm's correction
        sd: standard deviation of the cases' differences in Dice; None: not known
    """
    alpha = ALPHA / max(1, comparisons)
    if cases < fewest_cases(alpha):
        return f"With {cases} validation cases no difference can be told from chance; validate on more."
    difference = detectable_difference(ASSUMED_SD if sd is None else sd, cases, alpha=alpha)
    source = f"{ASSUMED_SD:g} Dice, which is assumed (-sd says better)" if sd is None else f"{sd:g} Dice"
    return (
        f"With {cases} validation cases whose differences scatter by {source}, a true mean difference of "
        f"{difference:.3f} Dice is found four times in five (paired t-test at {alpha:.3g}); smaller ones are often "
        "missed. What trainings scatter by themselves comes on top."
    )


def _spread(summary: SeedSummary | None) -> str:
    if summary is None:
        return "-"
    counted = f" [{'-'.join(map(str, sorted({min(summary.cases), max(summary.cases)})))}]" if summary.cases else ""
    return f"{summary.mean:.2f}" + (f" ± {summary.sd:.2f}" if summary.seeds > 1 else "") + counted


def _tests(summary: SeedSummary | None, baseline: SeedSummary | None) -> list[str]:
    if summary is None or baseline is None:
        return ["-", "-", "-"]
    tests = summary.against(baseline)
    ps = ["-", "-"] if tests is None else [f"{test.p:.3f}" for test in tests]
    return [f"{summary.mean - baseline.mean:+.2f}", *ps]


def _papers(arm: Arm, labelled: int) -> list[str]:
    """Return the paper's cells for an arm, of as many synthetic cases for each labelled one."""
    row, reference = paper.printed(arm.method, arm.num_cases, labelled), paper.printed(None, None)
    if row is None or reference is None or arm.mixup:
        return ["-"] * (len(paper.COLUMNS) + 4)
    summaries = [SeedSummary(mean, sd, paper.SEEDS) for mean, sd in zip(row.mean, row.sd, strict=True)]
    baseline = SeedSummary(reference.mean[-1], reference.sd[-1], paper.SEEDS)
    return [
        str(row.num_cases),
        *map(_spread, summaries),
        *_tests(summaries[-1], None if arm.method is None else baseline),
    ]
