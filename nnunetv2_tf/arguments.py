"""What users type, for argparse's `type`. Light: `-h` of every command imports it."""

import argparse

Fold = int | str  # a number, or "all"


def parse_fold(text: str) -> Fold:
    """`0`, `1`, ... or `all`, as nnU-Net's commands take it."""
    if text == "all":
        return text
    if text.isdigit():
        return int(text)
    raise argparse.ArgumentTypeError(f"a fold is a number or 'all', not {text!r}")


def positive(text: str) -> int:
    """A whole number of at least 1."""
    if text.isdigit() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"this is a whole number of at least 1, not {text!r}")


def command_parser(command: str, description: str, examples: str) -> argparse.ArgumentParser:
    """The parser of a console command, whose help keeps its line breaks and ends with examples."""
    return argparse.ArgumentParser(
        prog=command,
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_method_arguments(parser: argparse.ArgumentParser) -> None:
    """Where a method works, and in which manner: the same for fitting it and for making cases with it."""
    parser.add_argument("dataset", metavar="DATASET", help="dataset id or name (501, Dataset501_BraTS)")
    parser.add_argument("configuration", metavar="CONFIGURATION", help="whose arrays to work on: 3d_fullres, ...")
    parser.add_argument("folds", nargs="+", type=parse_fold, metavar="FOLD", help="fold or folds: 0 1 2 ... or all")
    parser.add_argument(
        "-preset", default="default", metavar="PRESET", help="default; paper: as published; others a method has"
    )
    parser.add_argument("-p", default="nnUNetPlans", metavar="PLANS", help="plans (default: nnUNetPlans)")
