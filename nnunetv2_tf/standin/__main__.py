"""`python -m nnunetv2_tf.standin`: makes stand-in data for trying the commands out."""

import argparse
import sys
from pathlib import Path

from nnunetv2_tf.arguments import parse_fold
from nnunetv2_tf.errors import run_command


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m nnunetv2_tf.standin", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    dataset = actions.add_parser("dataset", help="an nnU-Net raw dataset of spheres in ellipsoids")
    dataset.add_argument("-name", default="Dataset999_Spheres", help="its folder in nnUNet_raw (default: %(default)s)")
    plans = actions.add_parser("plans", help="nnUNetPlansTiny, for networks that train in seconds on a CPU")
    plans.add_argument("-d", default="999", help="dataset id or name (default: %(default)s)")
    cases = actions.add_parser("cases", help="synthetic cases as if from another program, with their ancestors.json")
    cases.add_argument("-d", default="999", help="the dataset they are for (default: %(default)s)")
    cases.add_argument("-f", type=parse_fold, default=0, help="the fold whose training cases are the ancestors")
    cases.add_argument("-o", type=Path, required=True, help="folder to write imagesTr, labelsTr, ancestors.json into")
    for action in (dataset, cases):
        action.add_argument("-num_cases", type=int, default=10, help="how many (default: %(default)s)")
        action.add_argument("-seed", type=int, default=0, help="same seed, same bytes (default: %(default)s)")
    arguments = parser.parse_args()
    return run_command(lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> None:
    from nnunetv2_tf.folders import Dataset
    from nnunetv2_tf.standin import foreign, plans, spheres

    if arguments.action == "dataset":
        spheres.new_dataset(Dataset(arguments.name), arguments.num_cases, arguments.seed)
    elif arguments.action == "plans":
        plans.write_tiny_plans(Dataset.find(arguments.d))
    else:
        dataset = Dataset.find(arguments.d)
        foreign.write_foreign_cases(dataset, arguments.f, arguments.o, arguments.num_cases, arguments.seed)


if __name__ == "__main__":
    sys.exit(main())
