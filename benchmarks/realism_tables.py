"""The tables of docs/results/realism.md, out of the files that the measurements left.

    python -m benchmarks.realism_tables [REALISM.csv] [PLANTED_FAULTS.csv] [ABLATION.csv]

Prints Markdown: figures of realism by method and column, Dice of voxel classifiers, what a baseline recognises, how
long it took, how every yardstick answers to planted faults, and what each ingredient of TF-Aug does. The files are
those of docs/results where none are given.
"""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

KEY = ("method", "kind", "column", "figure")


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("realism", nargs="?", type=Path, default=Path("docs/results/realism/realism.csv"))
    parser.add_argument("faults", nargs="?", type=Path, default=Path("docs/results/realism/planted_faults.csv"))
    parser.add_argument("ablation", nargs="?", type=Path, default=Path("docs/results/realism/ablation.csv"))
    arguments = parser.parse_args()
    if arguments.faults.exists():
        print_faults(arguments.faults)
    if arguments.realism.exists():
        for kind in ("realism", "usefulness", "recognition", "seconds"):
            print_kind(arguments.realism, kind)
    if arguments.ablation.exists():
        print_ablation(arguments.ablation)


def print_kind(path: Path, kind: str) -> None:
    """Print one kind of figure: a line for each, a column for each method's column."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == kind]
    folds = {row["fold"] for row in rows}
    if len(folds) > 1:
        rows = _over_folds(rows)
    values = {(row["method"], row["column"], row["figure"]): (row["value"], row["low"], row["high"]) for row in rows}
    columns = list(dict.fromkeys((row["method"], row["column"]) for row in rows))
    figures = list(dict.fromkeys(row["figure"] for row in rows))
    print(f"\n{kind}\n")
    _print_table([kind, *(f"{method}, {column}" if column else method for method, column in columns)])
    for figure in figures:
        cells = [_cell(values.get((method, column, figure))) for method, column in columns]
        print(f"| {figure} | {' | '.join(cells)} |")


def print_faults(path: Path) -> None:
    """Print a line for each yardstick, and the degrees of every fault in a cell."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    faults = list(dict.fromkeys(row["fault"] for row in rows))
    _print_table(["yardstick", *faults])
    for yardstick in dict.fromkeys(row["yardstick"] for row in rows):
        cells = []
        for fault in faults:
            found = [row for row in rows if (row["fault"], row["yardstick"]) == (fault, yardstick)]
            cells.append(" → ".join(f"{float(row['mean']):.2f}" for row in found))
        print(f"| {yardstick} | {' | '.join(cells)} |")


def print_ablation(path: Path) -> None:
    """Print a line for each variant, a column for each figure and kind of host."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    values = {(row["variant"], row["hosts"], row["figure"]): (row["value"], "", "") for row in rows}
    columns = list(dict.fromkeys((row["figure"], row["hosts"]) for row in sorted(rows, key=lambda row: row["figure"])))
    print()
    _print_table(["variant", *(f"{figure}, {hosts}" for figure, hosts in columns)])
    for variant in dict.fromkeys(row["variant"] for row in rows):
        cells = [_cell(values.get((variant, hosts, figure))) for figure, hosts in columns]
        print(f"| {variant} | {' | '.join(cells)} |")


def _over_folds(rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Return the means over folds, with the folds' least and largest values."""
    found: dict[tuple[str, ...], list[float]] = {}
    for row in rows:
        if row["value"]:
            found.setdefault(tuple(row[name] for name in KEY), []).append(float(row["value"]))
    return [
        {
            **dict(zip(KEY, key, strict=True)),
            "value": str(sum(values) / len(values)),
            "low": str(min(values)),
            "high": str(max(values)),
        }
        for key, values in found.items()
    ]


def _print_table(head: Sequence[str]) -> None:
    print(f"| {' | '.join(head)} |\n" + "|---" * len(head) + "|")


def _cell(figure: tuple[str, str, str] | None) -> str:
    if figure is None or not figure[0]:
        return ""
    value, low, high = figure
    interval = f" ({float(low):.2f} to {float(high):.2f})" if low and high else ""
    return f"{float(value):.2f}{interval}"


if __name__ == "__main__":
    main()
