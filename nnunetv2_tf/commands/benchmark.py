"""nnUNetv2_tf_benchmark: compares ways to train, from one file that says which."""

import argparse
import sys
from pathlib import Path

from nnunetv2_tf.io.arguments import command_parser, positive
from nnunetv2_tf.io.errors import UserError, run_command

DESCRIPTION = """\
Does it help? Trains nnU-Net with and without synthetic cases, as a file says, scores every validation case, and says
what the differences are worth. plan shows what the file means and how long it takes here, run does all of it
(baselines, fits, synthetic cases, trainings), collect scores and writes tables and pictures (also of an unfinished
benchmark), verify checks that the comparison is fair and nothing leaks, pause and resume stop and continue what run
has started."""

EXAMPLES = """\
MATRIX.json:
  {"datasets": [501], "configuration": "3d_fullres", "plans": "nnUNetPlans", "folds": [0, 1, 2, 3, 4],
   "seeds": [0, 1, 2], "epochs": 100, "baseline": "nnunet",
   "arms": [{"name": "nnunet", "method": null},
            {"name": "carvemix", "method": "carvemix", "preset": "default", "num_cases": 100}]}
  An arm may also have "healthy": dataset of healthy scans; "percent": so much of what is drawn
  is synthetic; "filter": true; "volume_ml": [5, 40]; "online": true, without "num_cases"; and
  "set": what its sets are called. baseline is the arm that all others are compared with; methods
  that learn are fitted through the arm that is nnU-Net alone.
  {"name": "mixup", "mixup": true} is nnU-Net on real cases whose patches are blended.
  Further keys, for all arms alike:
   "train_cases": [6, 12, 18], "draws": 3   train on so many labelled cases of each fold, drawn
                                            so often: a learning curve
   "precision": "bf16"                      also on the CPU, where nnU-Net computes in float32
   "pretrained_weights": "FILE.pth"         what trainings begin with; seen from MATRIX.json
   "postprocessing": "nnunet"               nnU-Net's, chosen on the training cases

examples:
  nnUNetv2_tf_benchmark plan MATRIX.json
      what is to be done, its commands, its hours on this machine, and the smallest difference
      this can find
  nnUNetv2_tf_benchmark plan table1.json --paper 1 -d 501 -healthy 601
      the same for table 1 of the paper, which is written to table1.json first
  nnUNetv2_tf_benchmark run MATRIX.json -np 2 -gpus 0 1
      does it, a job on each of two GPUs; run it again to continue, also after something failed
  nnUNetv2_tf_benchmark run MATRIX.json -arms nnunet carvemix
      trains these arms first, and the methods that learn on another day
  nnUNetv2_tf_benchmark run MATRIX.json -scores benchmark.csv
      trains only what is neither finished here nor listed in the file
  nnUNetv2_tf_benchmark pause MATRIX.json
      stops all that run has started on this machine, until resume
  nnUNetv2_tf_benchmark run MATRIX.json -num_parts 10 -part_id 3
      the fourth of ten jobs on a cluster
  nnUNetv2_tf_benchmark collect MATRIX.json
      benchmark.csv, tables in the paper's layout (Markdown, LaTeX, HTML), forest and scatter plot
  nnUNetv2_tf_benchmark verify MATRIX.json
      equal epochs, own synthetic cases, clean validation, committed code
"""
PAPER = {"d", "healthy", "preset", "p", "epochs", "num_seeds"}  # with plan --paper
TAKES = {
    "plan": {"device", "sd", "scores", "arms", "paper"} | PAPER,
    "run": {"o", "device", "np", "gpus", "sd", "allow_changes", "num_parts", "part_id", "arms", "scores"},
    "collect": {"o", "np", "scores"},
    "verify": set(),
    "pause": {"o"},
    "resume": {"o"},
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
        "-np", type=positive, metavar="N", help="jobs, or cases to score, at once (default: 1, or one per GPU)"
    )
    parser.add_argument("-gpus", type=int, nargs="+", default=[], metavar="I", help="GPUs to train on in turn")
    parser.add_argument("-num_parts", type=positive, default=1, metavar="N", help="runs that share the trainings")
    parser.add_argument("-part_id", type=int, default=0, metavar="I", help="which of them this is, from 0")
    parser.add_argument(
        "-arms", nargs="+", default=[], metavar="ARM", help="train these only, with what they need (default: all)"
    )
    parser.add_argument(
        "-scores", type=Path, metavar="FILE", help="benchmark.csv of trainings that count as done though they are gone"
    )
    parser.add_argument(
        "-sd", type=float, metavar="SD",
        help="standard deviation, over cases, of the difference in Dice, if you know it (assumed: 0.1)",
    )  # fmt: skip
    parser.add_argument(
        "--allow_changes",
        action="store_true",
        help="train although the checkout of nnunetv2_tf has uncommitted changes",
    )
    paper = parser.add_argument_group("the paper's tables", "plan writes MATRIX.json first")
    paper.add_argument("--paper", type=int, choices=[1, 2, 3], help="methods, number of cases, with and without TF-GAN")
    paper.add_argument("-d", metavar="DATASET", help="labelled scans; fold 0 trains and validates")
    paper.add_argument("-healthy", metavar="HEALTHY", help="healthy scans")
    paper.add_argument("-preset", default="paper", help="of all methods (default: paper)")
    paper.add_argument(
        "-p", default="nnUNetPlans_paper", metavar="PLANS",
        help="plans (default: nnUNetPlans_paper, 128 voxels each way and six stages, made where missing)",
    )  # fmt: skip
    paper.add_argument("-epochs", type=positive, default=100, metavar="N", help="of each training (default: 100)")
    paper.add_argument("-num_seeds", type=positive, default=3, metavar="N", help="trainings of each arm (default: 3)")
    return parser


def _run(arguments: argparse.Namespace) -> int | None:
    given = {name for name, value in vars(arguments).items() if value != _parser().get_default(name)}
    strangers = sorted(given - {"action", "matrix", *TAKES[arguments.action]})
    if strangers:
        option = ("--" if strangers[0] in ("allow_changes", "paper") else "-") + strangers[0]
        raise UserError(f"{option} does not belong to {arguments.action}; nnUNetv2_tf_benchmark -h shows examples.")
    if arguments.sd is not None and not arguments.sd > 0:
        raise UserError(f"-sd is a positive number, not {arguments.sd}.")
    if arguments.gpus and arguments.device != "cuda":
        raise UserError("-gpus goes with -device cuda.")
    if arguments.paper is not None:
        _write_table(arguments)
    elif given & PAPER:
        raise UserError(f"-{min(given & PAPER)} goes with --paper 1, 2 or 3, which writes MATRIX.json.")
    from nnunetv2_tf.benchmark import steps
    from nnunetv2_tf.io.parallel import Share

    return getattr(steps, arguments.action)(
        steps.BenchmarkRequest(
            path=arguments.matrix,
            output=arguments.o,
            device=arguments.device,
            num_processes=arguments.np or len(arguments.gpus) or 1,
            gpus=tuple(arguments.gpus),
            share=Share(arguments.num_parts, arguments.part_id),
            arms=tuple(arguments.arms),
            sd=arguments.sd,
            allow_changes=arguments.allow_changes,
            scores=arguments.scores,
        )
    )


def _write_table(arguments: argparse.Namespace) -> None:
    from nnunetv2_tf.benchmark.paper_matrix import PaperTable, write_table

    if arguments.d is None or arguments.healthy is None:
        raise UserError("--paper wants -d DATASET, the labelled scans, and -healthy HEALTHY.")
    table = PaperTable(
        number=arguments.paper,
        dataset=arguments.d,
        healthy=arguments.healthy,
        preset=arguments.preset,
        plans=arguments.p,
        epochs=arguments.epochs,
        seeds=arguments.num_seeds,
    )
    write_table(table, arguments.matrix)


if __name__ == "__main__":
    sys.exit(main())
