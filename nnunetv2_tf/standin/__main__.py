"""`python -m nnunetv2_tf.standin`: makes stand-in data for trying the commands out."""

import argparse
import sys
from pathlib import Path

from nnunetv2_tf.io.arguments import parse_fold
from nnunetv2_tf.io.errors import run_command


def main() -> int:
    """Run the command and return its exit code."""
    arguments = _parser().parse_args()
    return run_command(lambda: _run(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m nnunetv2_tf.standin", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    dataset = actions.add_parser("dataset", help="an nnU-Net raw dataset of stand-ins")
    dataset.add_argument("-name", default="Dataset999_StandIns", help="its folder in nnUNet_raw (default: %(default)s)")
    plans = actions.add_parser("plans", help="nnUNetPlansTiny, for networks that train in seconds on a CPU")
    plans.add_argument("-d", default="999", help="dataset id or name (default: %(default)s)")
    plans.add_argument("-width", type=int, default=8, help="features of the first stage (default: %(default)s)")
    plans.add_argument("-patch", type=int, default=24, help="voxels each way (default: %(default)s)")
    cases = actions.add_parser("cases", help="synthetic cases as if from another program, with their ancestors.json")
    cases.add_argument("-d", default="999", help="the dataset they are for (default: %(default)s)")
    cases.add_argument("-f", type=parse_fold, default=0, help="the fold whose training cases are the ancestors")
    cases.add_argument("-o", type=Path, required=True, help="folder to write imagesTr, labelsTr, ancestors.json into")
    sheet = actions.add_parser("sheet", help="a picture of stand-in patients and healthy people")
    sheet.add_argument("-o", type=Path, required=True, help="PNG file to write")
    for action in (dataset, cases):
        action.add_argument("-num_cases", type=int, default=10, help="how many (default: %(default)s)")
    for action in (dataset, cases, sheet):
        action.add_argument("-seed", type=int, default=0, help="same seed, same bytes (default: %(default)s)")
    for action in (dataset, cases, sheet):
        action.add_argument(
            "-kind", default="procedural", choices=["mni152", "procedural"],
            help="anatomy: the MNI152 average (needs the extra `demo`), or from formulas (default: %(default)s)",
        )  # fmt: skip
    for action in (dataset, sheet):
        action.add_argument("-shape", type=int, nargs=3, default=[64, 76, 64], metavar=("Z", "Y", "X"), help="voxels")
    dataset.add_argument("-channels", nargs="+", default=["t1n"], help="of t1n t1c t2w t2f (default: t1n)")
    dataset.add_argument("-num_train", type=int, metavar="N", help="one fold: the first N train, the others validate")
    dataset.add_argument("--healthy", action="store_true", help="healthy people on another scanner; label = brain")
    return parser


def _run(arguments: argparse.Namespace) -> None:
    from nnunetv2_tf.dataset.folders import Dataset
    from nnunetv2_tf.standin import foreign, plans, sheet
    from nnunetv2_tf.standin.brains import Brains, healthy

    if arguments.action == "plans":
        plans.write_tiny_plans(Dataset.find(arguments.d), patch=arguments.patch, width=arguments.width)
        return
    if arguments.action == "cases":
        dataset = Dataset.find(arguments.d)
        foreign.write_foreign_cases(
            dataset, arguments.f, arguments.o, arguments.num_cases, arguments.seed, arguments.kind
        )
        return
    z, y, x = arguments.shape
    # the brain is some 180 mm long, whatever the grid
    spacing = (180 / (0.88 * y),) * 3
    if arguments.action == "sheet":
        sheet.write_sheet(arguments.o, arguments.kind, (z, y, x), arguments.seed)
        return
    make = healthy if arguments.healthy else Brains
    cohort = make(shape=(z, y, x), spacing=spacing, kind=arguments.kind, channel_names=tuple(arguments.channels))
    cohort.new_dataset(Dataset(arguments.name), arguments.num_cases, arguments.seed, arguments.num_train)


if __name__ == "__main__":
    sys.exit(main())
