"""Do yardsticks go with what synthetic tumours are worth to nnU-Net? Arm by arm, descriptive.

    python -m benchmarks.yardsticks_against_truth MATRIX.json:BENCHMARK.csv ... [-y REALISM.csv] [-o OUT.csv]

A point is an arm of a matrix; filtered and online arms are left out, since their cases were not measured. Across: a
yardstick, as benchmarks.starting_line measured the arm's method and preset on Dataset531, mean over its folds. Upwards:
mean Dice over seeds, cases and regions, minus that of the matrix's baseline. Yardsticks: how well judges tell its
tumours from real ones (AUC, worse of the columns), distances, and the Dice of a voxel classifier that learns from
synthetic cases alone. Prints Spearman's correlation with a 95 % bootstrap interval over arms, writes the points, and a
picture beside them. With fewer than four arms nothing is said.
"""

import argparse
import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from benchmarks.starting_line import METHODS
from benchmarks.tables import write_rows
from nnunetv2_tf.benchmark.matrix import Matrix
from nnunetv2_tf.io.json_dataclass import read_record
from nnunetv2_tf.io.panels import written_figure

COLUMNS = ("healthy hosts", "free sides")
WORST = ("AUC named features", "AUC fresh judges", "AUC encoder", "AUC whole brain")  # of real 0.5; of fakes 1
DISTANCES = ("brightness distance", "profile distance", "grain distance", "KID encoder")
REGIONS = ("WT", "TC", "ET")
TRAINED = "Dice of synthetic alone"
FEWEST, DRAWS, SEED = 4, 10000, 0
ACROSS = 3  # plots in a row
HEADER = ["matrix", "arm", "yardstick", "value", "dice_difference"]


@dataclass(frozen=True)
class Point:
    """An arm, what it is worth, and how it looks."""

    matrix: str
    arm: str
    difference: float  # of mean Dice to the baseline
    yardsticks: dict[str, float]


def differences(matrix: Matrix, path: Path) -> dict[str, float]:
    """Return mean Dice minus the baseline's, by arm; a region that a case has not got is left out."""
    scores: dict[str, list[float]] = defaultdict(list)
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["dice"]:
                scores[row["arm"]].append(float(row["dice"]))
    means = {arm: float(np.nanmean(dice)) for arm, dice in scores.items()}
    return {arm: mean - means[matrix.baseline] for arm, mean in means.items() if arm != matrix.baseline}


def yardsticks(path: Path) -> dict[str, dict[str, float]]:
    """Return the yardsticks of each method: means over folds, then the worse of the columns."""
    found: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["kind"] == "realism" and row["column"] in COLUMNS and row["figure"] in (*WORST, *DISTANCES):
                found[row["method"], row["figure"], row["column"]].append(float(row["value"]))
            if row["kind"] == "usefulness" and row["column"] == "synthetic" and row["figure"] in REGIONS:
                found[row["method"], TRAINED, ""].append(float(row["value"]))
    worst: dict[str, dict[str, float]] = defaultdict(dict)
    for (method, figure, _), values in found.items():
        worst[method][figure] = max(float(np.mean(values)), worst[method].get(figure, -np.inf))
    return worst


def measured(method: str) -> set[str]:
    """Return the presets by which a method's tumours were measured."""
    return {preset for name, _, preset in (one.rpartition(":") for one in METHODS) if name == method} or {"default"}


def rank_correlation(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> tuple[float, float, float]:
    """Return Spearman's correlation with a 95 % interval by bootstrap over points."""
    drawn = rng.integers(len(x), size=(DRAWS, len(x)))
    varied = [pick for pick in drawn if np.ptp(x[pick]) > 0 and np.ptp(y[pick]) > 0]
    spread = [_spearman(x[pick], y[pick]) for pick in varied]
    low, high = np.quantile(spread, [0.025, 0.975])
    return _spearman(x, y), float(low), float(high)


def paint(points: Sequence[Point], names: Sequence[str], titles: Sequence[str], path: Path) -> None:
    """Paint a plot for each yardstick."""
    rows = -(-len(names) // ACROSS)
    with written_figure(path, (rows, ACROSS), (4.2 * ACROSS, 3.4 * rows)) as grid:
        for axes in grid.flat[len(names) :]:
            axes.set_axis_off()
        for axes, name, title in zip(grid.flat, names, titles, strict=False):
            axes.axhline(0, color="0.7", linewidth=0.8)
            for point in (point for point in points if name in point.yardsticks):
                place = (point.yardsticks[name], point.difference)
                axes.plot(*place, "o", color="C0", markersize=4)
                axes.annotate(point.arm, place, fontsize=6, xytext=(3, 3), textcoords="offset points")
            axes.set(xlabel=name, ylabel="mean Dice minus nnU-Net alone")
            axes.set_title(title, fontsize=8)


def _spearman(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.corrcoef(stats.rankdata(x), stats.rankdata(y))[0, 1])


def main() -> None:
    """Print, write and paint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", metavar="MATRIX:CSV", help="a matrix and the scores that collect wrote")
    parser.add_argument("-y", type=Path, default=Path("docs/results/realism/realism.csv"), help="yardsticks")
    parser.add_argument("-o", type=Path, default=Path("docs/results/does_it_help/yardsticks.csv"))
    arguments = parser.parse_args()
    looks, points = yardsticks(arguments.y), []
    for result in arguments.results:
        matrix_path, _, table = result.rpartition(":")
        matrix = read_record(Matrix, Path(matrix_path), "give the matrix that was run.")
        arms = {arm.name: arm for arm in matrix.arms}
        for name, difference in differences(matrix, Path(table)).items():
            arm, method = arms[name], str(arms[name].method)
            if method in looks and arm.preset in measured(method) and not (arm.filter or arm.online):
                points.append(Point(Path(matrix_path).stem, name, difference, looks[method]))
    if len(points) < FEWEST:
        raise SystemExit(f"{len(points)} arms have yardsticks; nothing can be said of fewer than {FEWEST}.")
    names = [name for name in (*WORST, *DISTANCES, TRAINED) if sum(name in one.yardsticks for one in points) >= FEWEST]
    titles, rng = [], np.random.default_rng(SEED)
    for name in names:
        shown = [point for point in points if name in point.yardsticks]
        x = np.array([point.yardsticks[name] for point in shown])
        y = np.array([point.difference for point in shown])
        if np.ptp(x) == 0 or np.ptp(y) == 0:
            titles.append(f"{len(shown)} arms, all alike")
        else:
            rho, low, high = rank_correlation(x, y, rng)
            titles.append(f"{len(shown)} arms, Spearman {rho:+.2f} ({low:+.2f} to {high:+.2f})")
        print(f"{name}: {titles[-1]}")
    arguments.o.parent.mkdir(parents=True, exist_ok=True)
    rows = [(p.matrix, p.arm, name, value, p.difference) for p in points for name, value in p.yardsticks.items()]
    write_rows(HEADER, rows, arguments.o)
    paint(points, names, titles, arguments.o.with_suffix(".png"))
    print(f"{arguments.o}, {arguments.o.with_suffix('.png')}")


if __name__ == "__main__":
    main()
