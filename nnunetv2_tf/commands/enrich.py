"""nnUNetv2_tf_enrich: all steps from scans to a training with synthetic cases."""

import argparse
import sys
from pathlib import Path

from nnunetv2_tf.io.arguments import KEEP, add_method_arguments, check_keep, check_seed, command_parser, positive
from nnunetv2_tf.io.errors import UserError, run_command

DESCRIPTION = """\
Does what is missing on the way from scans to a training with synthetic tumours: converts raw folders (where some are
given), plans and preprocesses, trains the baseline, fits the method, makes the cases, and says how to train with them,
or does (--train). First it says what is there, what is missing, and how long that will take as far as this machine has
measured it.

Run it again to go on after an interruption; what is finished is left as it is. What was done with something that has
changed since (scans, plans, settings) is named, and done anew with --redo. Each step is one of our commands or of
nnU-Net's; all that they say is in nnUNet_results/tf_enrich/DATASET/SET.log."""

EXAMPLES = """\
examples:
  nnUNetv2_tf_enrich 501 3d_fullres 0 -healthy 601 -num_cases 100
      TF-GAN's tumours in the healthy scans of Dataset601, for fold 0; set tfgan100
  nnUNetv2_tf_enrich 501 3d_fullres 0 1 2 3 4 -healthy 601 -num_cases 100 -m tf_aug --train
      TF-Aug's, in five folds, and the five trainings
  nnUNetv2_tf_enrich Dataset501_BraTS 3d_fullres 0 -raw_brats BraTS-Africa -healthy Dataset601_Healthy -raw_healthy IXI
      -num_cases 100 (on one line): from folders as they were downloaded
  nnUNetv2_tf_enrich 501 3d_fullres 0 -m carvemix -num_cases 100 --only_plan
      only says what would be done; carvemix needs no healthy scans and no baseline
"""


def main() -> int:
    """Run the console command; return its exit code."""
    arguments = _parser().parse_args()
    return run_command(lambda: _run(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("nnUNetv2_tf_enrich", DESCRIPTION, EXAMPLES)
    add_method_arguments(parser)
    parser.add_argument("-healthy", metavar="HEALTHY", help="dataset of healthy scans")
    parser.add_argument("-num_cases", type=positive, required=True, metavar="N", help="synthetic cases per fold")
    parser.add_argument(
        "-m", default="tf_gan", metavar="METHOD", help="as for nnUNetv2_tf_synthesize (default: tf_gan)"
    )
    parser.add_argument("-s", metavar="SET", help="the set's name (default: of method and number: tfgan100)")
    raw = parser.add_argument_group("raw folders", "from which datasets are made first")
    raw.add_argument(
        "-raw_brats", nargs="+", type=Path, default=[], metavar="FOLDER", help="labelled scans, as BraTS gives them"
    )
    raw.add_argument("-raw_healthy", nargs="+", type=Path, default=[], metavar="FOLDER", help="healthy scans")
    raw.add_argument("-source", metavar="SOURCE", help="of -raw_brats, where its names do not tell: 2023-gli, ...")
    raw.add_argument(
        "-modalities", nargs="+", default=["t1n"], metavar="M", help="channels of -raw_brats (default: t1n)"
    )
    parser.add_argument(
        "-spacing", nargs=3, type=float, metavar="MM", help="voxel spacing of new plans; give them a new name with -p"
    )
    parser.add_argument(
        "-tr", default="TFBaselineTrainer_100epochs_seed0", metavar="TRAINER",
        help="of the baseline (default: TFBaselineTrainer_100epochs_seed0)",
    )  # fmt: skip
    parser.add_argument("--train", action="store_true", help="also train with the set")
    parser.add_argument(
        "-enriched_tr", metavar="TRAINER",
        help="by which trainer (default: as the baseline is trained: TFEnrichedTrainer_SET_100epochs_seed0)",
    )  # fmt: skip
    parser.add_argument("-device", default="cuda", choices=["cuda", "cpu"], help="default: cuda")
    parser.add_argument("-np", type=positive, default=2, metavar="N", help="cases worked on at once (default: 2)")
    parser.add_argument("-seed", type=int, default=0, metavar="K", help="of the cases (default: 0)")
    parser.add_argument("-filter", action="store_true", help="keep only cases whose tumour the baseline recognises")
    parser.add_argument(
        "-keep", type=float, nargs=2, metavar=("LOW", "HIGH"),
        help="with -filter: keep cases of whose tumour the baseline recognises more than LOW and at most HIGH (0.7 1)",
    )  # fmt: skip
    parser.add_argument("--only_plan", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument("--yes", action="store_true", help="begin although it will take more than twelve hours")
    parser.add_argument("--redo", action="store_true", help="do anew what was done with something that has changed")
    return parser


def _run(arguments: argparse.Namespace) -> None:
    check_seed(arguments.seed)
    if arguments.keep is not None and not arguments.filter:
        raise UserError("-keep says how to filter; give -filter too, or leave -keep out.")
    missing = next((folder for folder in (*arguments.raw_brats, *arguments.raw_healthy) if not folder.is_dir()), None)
    if missing is not None:
        raise UserError(f"{missing} is no folder; name one that holds scans.")
    from nnunetv2_tf.enrich.request import EnrichRequest
    from nnunetv2_tf.enrich.run import enrich

    request = EnrichRequest(
        dataset=arguments.dataset,
        configuration=arguments.configuration,
        folds=tuple(dict.fromkeys(arguments.folds)),
        healthy=arguments.healthy,
        num_cases=arguments.num_cases,
        method=arguments.m,
        preset=arguments.preset,
        set_name=arguments.s or _set_name(arguments.m, arguments.num_cases),
        raw_brats=tuple(folder.resolve() for folder in arguments.raw_brats),
        raw_healthy=tuple(folder.resolve() for folder in arguments.raw_healthy),
        modalities=tuple(arguments.modalities),
        source=arguments.source,
        plans=arguments.p,
        spacing=None if arguments.spacing is None else tuple(arguments.spacing),
        trainer=arguments.tr,
        enriched_trainer=arguments.enriched_tr,
        train=arguments.train,
        device=arguments.device,
        num_processes=arguments.np,
        seed=arguments.seed,
        kept_gb=arguments.kept_gb,
        keep=check_keep(*(arguments.keep or KEEP)) if arguments.filter else None,
    )
    enrich(request, arguments.yes, arguments.redo, arguments.only_plan)


def _set_name(method: str, num_cases: int) -> str:
    """Return tfgan100 for tf_gan and 100 cases; of somebody's own method its class gives the name."""
    letters = "".join(letter for letter in method.rpartition(":")[2].lower() if letter.isascii() and letter.isalnum())
    return f"{letters}{num_cases}"


if __name__ == "__main__":
    sys.exit(main())
