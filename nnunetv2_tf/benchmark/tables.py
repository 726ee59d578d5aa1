"""Tables from what nnU-Net wrote. `python -m nnunetv2_tf.benchmark.tables FOLDER ...` compares fold folders."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nnunetv2_tf.errors import run_command
from nnunetv2_tf.work import read_json


def validation_table(folds: Sequence[Path]) -> str:
    """One row per fold folder: the Dice of its final validation, per class and in the mean, in Markdown."""
    summaries = [read_json(fold / "validation" / "summary.json", "train it first.") for fold in folds]
    classes = list(summaries[0]["mean"])
    rows = [["model", "fold", *(f"class {name}" for name in classes), "mean Dice"]]
    for fold, summary in zip(folds, summaries, strict=True):
        trainer = fold.parent.name.split("__")[0]
        values = [summary["mean"][name]["Dice"] for name in classes] + [summary["foreground_mean"]["Dice"]]
        rows.append([trainer, fold.name.removeprefix("fold_"), *(f"{value:.3f}" for value in values)])
    rows.insert(1, ["---"] * len(rows[0]))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main() -> int:
    """Entry point of the module."""
    parser = argparse.ArgumentParser(prog="python -m nnunetv2_tf.benchmark.tables", description=__doc__)
    parser.add_argument("folds", nargs="+", type=Path, metavar="FOLDER", help="fold folders in nnUNet_results")
    arguments = parser.parse_args()
    return run_command(lambda: print(validation_table(arguments.folds)))


if __name__ == "__main__":
    sys.exit(main())
