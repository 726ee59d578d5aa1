"""A learning curve from comparisons that were trained apart: few labelled cases, and all of the fold.

    python -m benchmarks.label_curve MATRIX.json FEW.csv -all NUMBER SCORES.csv ... [-a ARM ...] [-o PICTURE.png]

MATRIX.json is the one with train_cases and FEW.csv what nnUNetv2_tf_benchmark collect wrote of it; the other tables are
of trainings on all labelled cases of a fold, NUMBER of them, which validate on the same cases. Prints Dice of each draw
and seed, of each arm, and its difference to the baseline in mean Dice with the bootstrap's 95 % interval and
Wilcoxon's p, which Holm corrects over arms and numbers of cases; paints the curve.
"""

import argparse
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.seeds_together import in_all
from nnunetv2_tf.benchmark.comparisons import arrange, findings
from nnunetv2_tf.benchmark.matrix import Matrix
from nnunetv2_tf.benchmark.plots import curve_plot
from nnunetv2_tf.benchmark.report import BOOTSTRAP_SEED
from nnunetv2_tf.benchmark.score_table import read_rows
from nnunetv2_tf.io.json_dataclass import read_record


def main() -> None:
    """Print tables and paint the curve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("matrix", type=Path, metavar="MATRIX.json")
    parser.add_argument("few", type=Path, metavar="FEW.csv")
    parser.add_argument("-all", nargs="+", required=True, metavar=("NUMBER", "SCORES.csv"))
    parser.add_argument("-a", nargs="+", metavar="ARM", help="only these (default: those that all tables have)")
    parser.add_argument("-o", type=Path, metavar="PICTURE.png")
    arguments = parser.parse_args()
    number = int(arguments.all[0])
    whole = in_all([read_rows(Path(path)) for path in arguments.all[1:]])
    few = read_rows(arguments.few)
    arms = arguments.a or {row.arm for row in few} & {row.arm for row in whole}
    rows = [row for row in (*few, *(replace(row, train_cases=number) for row in whole)) if row.arm in arms]

    trainings: dict[tuple[int | None, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        trainings[row.train_cases, row.arm][f"fold {row.fold} seed {row.seed}"].append(row.score.dice)
    for (cases, arm), scores in sorted(trainings.items()):
        means = ", ".join(f"{name} {100 * np.mean(values):.1f}" for name, values in sorted(scores.items()))
        print(f"{cases} labelled cases, {arm}: {means}")

    matrix = read_record(Matrix, arguments.matrix, "give one that was run.")
    matrix = replace(matrix, arms=tuple(arm for arm in matrix.arms if arm.name in {row.arm for row in rows}))
    numbers = (*matrix.train_cases, number)
    for dataset in dict.fromkeys(row.dataset for row in rows):
        points = [arrange(rows, matrix, dataset, "Dice", one) for one in numbers]
        found = findings(points, matrix, np.random.default_rng(BOOTSTRAP_SEED))
        for dice in points:
            for arm in dice.values:
                means = ", ".join(f"{outcome} {100 * dice.of(arm, outcome).mean():.1f}" for outcome in dice.outcomes)
                print(f"{dice.title}, {arm}: {means}")
        for one in found:
            difference, tested = one.comparison.difference, one.comparison
            print(
                f"{one.train_cases} labelled cases, {one.arm} against {matrix.baseline}, {one.outcome}: "
                f"{difference.estimate:+.3f} ({difference.low:+.3f} to {difference.high:+.3f}), "
                f"p {tested.wilcoxon.p:.3g}, Holm {tested.adjusted_p:.3g}"
            )
        if arguments.o:
            curve_plot(points, found, arguments.o)


if __name__ == "__main__":
    main()
