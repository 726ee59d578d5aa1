"""Arguments that several commands share. In: what users type. Out: folds and numbers; parsers.

Nothing heavy is imported here, since `-h` of every command imports this module.
"""

import argparse
from typing import Any

from nnunetv2_tf.io.errors import UserError

KEPT_GB = 5.0  # on disk, unless somebody wants more or less
Fold = int | str  # a number, or "all"


def parse_fold(text: str) -> Fold:
    """Return the fold that a text names: `0`, `1`, ... or `all`, as for nnU-Net's commands."""
    if text == "all":
        return text
    if text.isdigit():
        return int(text)
    raise argparse.ArgumentTypeError(f"a fold is a number or 'all', not {text!r}")


def positive(text: str) -> int:
    """Return the whole number of at least 1 that a text holds."""
    if text.isdigit() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"this is a whole number of at least 1, not {text!r}")


def command_parser(command: str, description: str, examples: str) -> argparse.ArgumentParser:
    """Return the parser of a console command, whose help keeps its line breaks and ends with examples."""
    return argparse.ArgumentParser(
        prog=command,
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def check_seed(seed: int | None) -> None:
    """Raise when a seed is none; None: it was not given."""
    if seed is not None and seed < 0:
        raise UserError(f"A seed is 0 or more, not {seed}.")


KEEP = (0.7, 1.0)  # shares of a tumour that a filter lets pass, above the first and up to the second; as published


def check_keep(low: float, high: float) -> tuple[float, float]:
    """Return the band of shares that -keep names; raise when it is none."""
    if not 0 <= low < high <= 1:
        raise UserError(f"-keep takes two shares, 0 to 1 and the lower first, not {low:g} {high:g}.")
    return low, high


def is_kept(recognised: float, keep: tuple[float, float]) -> bool:
    """Tell whether the recognised share of a tumour is enough, and not too much; from 0 on, anything is enough."""
    low, high = keep
    return (low < recognised or low == 0) and recognised <= high


def share(text: str) -> float:
    """Return the number from 0 to 1 that a text holds."""
    number = _number(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"this is a number from 0 to 1, not {text!r}")
    return number


def gigabytes(text: str) -> float:
    """Return the size of at least 0 that a text holds."""
    size = _number(text)
    if not 0 <= size < float("inf"):
        raise argparse.ArgumentTypeError(f"this is a number of gigabytes, 0 or more, not {text!r}")
    return size


def add_method_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments for a method and what it works on, which fitting and making cases have in common."""
    parser.add_argument("dataset", metavar="DATASET", help="dataset id or name (501, Dataset501_BraTS)")
    parser.add_argument("configuration", metavar="CONFIGURATION", help="whose arrays to work on: 3d_fullres, ...")
    parser.add_argument("folds", nargs="+", type=parse_fold, metavar="FOLD", help="fold or folds: 0 1 2 ... or all")
    parser.add_argument(
        "-preset", default="default", metavar="PRESET", help="default; paper: as published; others a method has"
    )
    parser.add_argument("-p", default="nnUNetPlans", metavar="PLANS", help="plans (default: nnUNetPlans)")
    parser.add_argument(
        "-kept_gb", type=gigabytes, default=KEPT_GB, metavar="N",
        help="up to N GB of what is computed once for each host are kept for later sets and fits, in "
        "nnUNet_preprocessed/DATASET/tf/kept; 0: nothing (default: %(default)g)",
    )  # fmt: skip


def add_trust_argument(parser: Any) -> None:
    """Add the option of what reads checkpoints of nnU-Net's; `parser` may be a group of one."""
    parser.add_argument(
        "--trust_checkpoint", action="store_true",
        help="read a baseline's checkpoint even where it holds more than weights and numbers, which may then run code: "
        "only for files whose origin you know",
    )  # fmt: skip


def _number(text: str) -> float:
    """Return the number that a text holds; -1 where it holds none."""
    try:
        return float(text)
    except ValueError:
        return -1.0
