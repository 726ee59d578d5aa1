"""Comparisons that were trained apart, taken together: arms that are in each of them, over all their seeds.

    python -m benchmarks.seeds_together MATRIX.json SCORES.csv SCORES.csv ... [-a ARM ...]

MATRIX.json says what arms are and which is the baseline; the tables are those that nnUNetv2_tf_benchmark collect wrote,
of different seeds and the same cases. Prints its tables and sentences for arms that were trained with every seed, with
the crossed bootstrap over seeds and cases. An arm counts as the same by its name and its trainer's name without the
seed; commits are printed, and where what an arm does has changed between them, -a leaves it out. Dice of each arm by
seed comes first.
"""

import argparse
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from nnunetv2_tf.benchmark.matrix import Matrix
from nnunetv2_tf.benchmark.report import make_reports
from nnunetv2_tf.benchmark.score_table import read_rows
from nnunetv2_tf.benchmark.scores import Row
from nnunetv2_tf.io.json_dataclass import read_record


def in_all(tables: Sequence[Sequence[Row]]) -> list[Row]:
    """Return the rows of arms that all tables have, trained alike but for the seed."""
    trained = [{(row.arm, re.sub(r"seed\d+", "seed", row.trainer)) for row in rows} for rows in tables]
    common = {arm for arm, _ in set.intersection(*trained)}
    return [row for rows in tables for row in rows if row.arm in common]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("matrix", type=Path, metavar="MATRIX.json")
    parser.add_argument("scores", type=Path, nargs="+", metavar="SCORES.csv")
    parser.add_argument("-a", nargs="+", metavar="ARM", help="only these (default: all)")
    arguments = parser.parse_args()
    rows = in_all([read_rows(path) for path in arguments.scores])
    matrix = read_record(Matrix, arguments.matrix, "give one that was run.")
    rows = [row for row in rows if arguments.a is None or row.arm in arguments.a]
    names = {row.arm for row in rows}
    arms = tuple(arm for arm in matrix.arms if arm.name in names)
    together = replace(matrix, arms=arms, seeds=tuple(sorted({row.seed for row in rows})))
    dice: dict[tuple[str, str], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    codes = defaultdict(set)
    for row in rows:
        dice[row.arm, row.score.region][row.seed].append(row.score.dice)
        codes[row.code].add(f"{row.arm} seed {row.seed}")
    for (arm, region), by_seed in dice.items():
        means = ", ".join(f"seed {seed} {100 * np.mean(values):.1f}" for seed, values in sorted(by_seed.items()))
        print(f"{arm} {region}: {means}")
    for code, trained in codes.items():
        print(f"{code}: {', '.join(sorted(trained))}")
    for dataset in dict.fromkeys(row.dataset for row in rows):
        for report in make_reports(rows, together, dataset):
            print("\n\n".join(["", *(table.markdown() for table in report.tables[:2])]))
            print("\n".join(report.sentences))


if __name__ == "__main__":
    main()
