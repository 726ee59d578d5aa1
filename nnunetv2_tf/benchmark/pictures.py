"""The pictures of a benchmark. In: reports and their matrix. Out: PNG files in a folder, and their names."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from nnunetv2_tf.benchmark.arm import Arm
from nnunetv2_tf.benchmark.matrix import Matrix
from nnunetv2_tf.benchmark.panel import write_panel
from nnunetv2_tf.benchmark.plots import curve_plot, dose_plot, forest_plot, scatter_plot
from nnunetv2_tf.benchmark.report import Report
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.io.errors import UserError


def paint(reports: Sequence[Report], matrix: Matrix, folder: Path) -> list[str]:
    """Paint the pictures of a dataset; return their names, none without a comparison."""
    names = []
    for report in (report for report in reports if report.findings):
        end = report.dice.title.replace(",", "").replace(" ", "_")
        forest_plot(report.findings, folder / f"forest_{end}.png")
        scatter_plot(report.dice, matrix.baseline, folder / f"scatter_{end}.png")
        names += [f"forest_{end}.png", f"scatter_{end}.png"]
        doses = doses_of(matrix, report)
        if doses:
            without = next((arm.name for arm in matrix.arms if arm.is_plain), None)
            without = without if without in report.dice.values else None
            dose_plot(report.dice, report.findings, without, doses, folder / f"dose_{end}.png")
            names.append(f"dose_{end}.png")
    if not names:
        return []
    dataset = reports[0].dice.dataset
    if len(matrix.train_cases) > 1:
        findings = [finding for report in reports for finding in report.findings]
        curve_plot([report.dice for report in reports], findings, folder / f"curve_{dataset}.png")
        names.append(f"curve_{dataset}.png")
    try:
        if write_panel(matrix, Dataset(dataset), folder / f"samples_{dataset}.png"):
            names.append(f"samples_{dataset}.png")
    except UserError as error:  # scores may outlive scans and arrays
        print(f"No samples are painted: {error}")
    return names


def doses_of(matrix: Matrix, report: Report) -> list[dict[int, Arm]]:
    """Return the arms that differ only in how many synthetic cases they take, by that number; two or more."""
    same = defaultdict(dict)
    for arm in matrix.arms:
        if arm.num_cases is not None and arm.name in report.dice.values:
            same[arm.made_by, arm.percent][arm.num_cases] = arm
    return [dict(sorted(arms.items())) for arms in same.values() if len(arms) > 1]
