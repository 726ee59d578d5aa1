"""nnUNetv2_tf_benchmark: compares ways to train, from one file that says which."""

import argparse
import sys
from pathlib import Path

from nnunetv2_tf.io.arguments import command_parser, positive
from nnunetv2_tf.io.errors import UserError, run_command

DESCRIPTION = """\
Does it help? Trains nnU-Net with and without synthetic cases, as a file says, scores every validation case, and says
what the differences are worth. plan shows what the file means, run trains what is missing, collect scores and writes
tables and pictures (also of an unfinished benchmark), verify checks that the comparison is fair and nothing leaks."""

EXAMPLES = """\
MATRIX.json:
  {"datasets": [501], "configuration": "3d_fullres", "plans": "nnUNetPlans", "folds": [0, 1, 2, 3, 4],
   "seeds": [0, 1, 2], "epochs": 100, "baseline": "nnunet",
   "arms": [{"name": "nnunet", "method": null},
            {"name": "carvemix", "method": "carvemix", "preset": "default", "num_cases": 100}]}
  An arm may also have "percent": so much of what is drawn is synthetic; and "set":
  what its sets are called. baseline is the arm that all others are compared with.

examples:
  nnUNetv2_tf_benchmark plan MATRIX.json
      the trainings, their commands, and the smallest difference this can find
  nnUNetv2_tf_benchmark run MATRIX.json -np 2 -gpus 0 1
      trains, one on each of two GPUs; run it again to continue, also after something failed
  nnUNetv2_tf_benchmark run MATRIX.json -num_parts 10 -part_id 3
      the fourth of ten jobs on a cluster
  nnUNetv2_tf_benchmark collect MATRIX.json
      benchmark.csv, tables in the paper's layout (Markdown, LaTeX, HTML), forest and scatter plot
  nnUNetv2_tf_benchmark verify MATRIX.json
      equal epochs, own synthetic cases, clean validation, committed code
"""
TAKES = {
    "plan": {"device", "sd"},
    "run": {"o", "device", "np", "gpus", "sd", "allow_changes", "num_parts", "part_id"},
    "collect": {"o", "np"},
    "verify": set(),
}


def main() -> int:
    """Run the console command; return its exit code."""
    arguments = _parser().parse_args()
    return run_command(lambda: _run(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("nnUNetv2_tf_benchmark", DESCRIPTION, EXAMPLES)
    parser.add_argument("action", choices=list(TAKES), help="what to do")
    parser.add_argument("matrix", type=Path, metavar="MATRIX.json", help="what to compare; below is one")
    parser.add_argument(
        "-o", type=Path, metavar="FOLDER", help="tables and logs (default: nnUNet_results/tf_benchmark/<MATRIX>)"
    )
    parser.add_argument("-device", default="cuda", choices=["cuda", "cpu", "mps"], help="to train on (default: cuda)")
    parser.add_argument(
        "-np", type=positive, metavar="N", help="trainings, or cases to score, at once (default: 1, or one per GPU)"
    )
    parser.add_argument("-gpus", type=int, nargs="+", default=[], metavar="I", help="GPUs to train on in turn")
    parser.add_argument("-num_parts", type=positive, default=1, metavar="N", help="jobs that share the trainings")
    parser.add_argument("-part_id", type=int, default=0, metavar="I", help="which of them this is, from 0")
    parser.add_argument(
        "-sd", type=float, metavar="SD", help="how much cases' differences in Dice scatter, if you know (assumed: 0.1)"
    )
    parser.add_argument(
        "--allow_changes",
        action="store_true",
        help="train although the checkout of nnunetv2_tf has uncommitted changes",
    )
    return parser


def _run(arguments: argparse.Namespace) -> int | None:
    given = {name for name, value in vars(arguments).items() if value != _parser().get_default(name)}
    strangers = sorted(given - {"action", "matrix", *TAKES[arguments.action]})
    if strangers:
        option = ("--" if strangers[0] == "allow_changes" else "-") + strangers[0]
        raise UserError(f"{option} does not belong to {arguments.action}; nnUNetv2_tf_benchmark -h shows examples.")
    if arguments.sd is not None and not arguments.sd > 0:
        raise UserError(f"-sd is a positive number, not {arguments.sd}.")
    if arguments.gpus and arguments.device != "cuda":
        raise UserError("-gpus goes with -device cuda.")
    from nnunetv2_tf.benchmark.steps import BenchmarkRequest, collect, plan, run, verify
    from nnunetv2_tf.io.parallel import Share

    step = {"plan": plan, "run": run, "collect": collect, "verify": verify}[arguments.action]
    return step(
        BenchmarkRequest(
            path=arguments.matrix,
            output=arguments.o,
            device=arguments.device,
            num_processes=arguments.np or len(arguments.gpus) or 1,
            gpus=tuple(arguments.gpus),
            share=Share(arguments.num_parts, arguments.part_id),
            sd=arguments.sd,
            allow_changes=arguments.allow_changes,
        )
    )


if __name__ == "__main__":
    sys.exit(main())
