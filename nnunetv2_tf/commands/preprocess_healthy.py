"""nnUNetv2_tf_preprocess_healthy: a healthy dataset by the plans of a labelled one."""

import argparse
import sys

from nnunetv2_tf.io.arguments import command_parser, positive
from nnunetv2_tf.io.errors import run_command

DESCRIPTION = """\
Preprocesses a healthy dataset with the plans of your labelled one, by nnU-Net's own code, so that methods find both in
one space. Only what is missing or out of date is done."""

EXAMPLES = """\
examples:
  nnUNetv2_tf_preprocess_healthy -d 501 -healthy 601
      for the configurations that 501 is preprocessed for
  nnUNetv2_tf_preprocess_healthy -d 501 -healthy 601 -p nnUNetResEncUNetMPlans -c 3d_fullres -np 8
      with other plans, for one configuration, eight scans at once
  nnUNetv2_tf_preprocess_healthy -d 501 -unlabelled 602
      unlabelled scans, for methods that learn from such (nnUNetv2_tf_convert_brats --unlabelled)
"""


def main() -> int:
    """Run the console command; return its exit code."""
    arguments = _parser().parse_args()
    return run_command(lambda: _run(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("nnUNetv2_tf_preprocess_healthy", DESCRIPTION, EXAMPLES)
    parser.add_argument("-d", required=True, metavar="DATASET", help="the labelled dataset, planned (501)")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("-healthy", metavar="DATASET", help="the healthy dataset (601)")
    which.add_argument(
        "-unlabelled", metavar="DATASET", help="instead of it: a dataset of unlabelled scans, which may show tumours"
    )
    parser.add_argument("-p", default="nnUNetPlans", metavar="PLANS", help="plans (default: nnUNetPlans)")
    parser.add_argument(
        "-c", nargs="+", metavar="CONFIGURATION", help="configurations (default: those 501 is preprocessed for)"
    )
    parser.add_argument("-np", type=positive, default=2, metavar="N", help="scans worked on at once (default: 2)")
    return parser


def _run(arguments: argparse.Namespace) -> None:
    from nnunetv2_tf.working_space.healthy import PreprocessHealthyRequest, preprocess_healthy

    preprocess_healthy(
        PreprocessHealthyRequest(
            dataset=arguments.d,
            healthy=arguments.healthy or arguments.unlabelled,
            unlabelled=arguments.healthy is None,
            plans=arguments.p,
            configurations=None if arguments.c is None else tuple(arguments.c),
            num_processes=arguments.np,
        )
    )


if __name__ == "__main__":
    sys.exit(main())
