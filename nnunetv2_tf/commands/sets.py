"""nnUNetv2_tf_sets: list, add, preprocess, export and remove sets of synthetic cases."""

import argparse
import sys
from pathlib import Path

from nnunetv2_tf.io.arguments import add_trust_argument, check_keep, command_parser, parse_fold, positive, share
from nnunetv2_tf.io.errors import UserError, run_command

DESCRIPTION = """\
Sets of synthetic cases of a dataset. A set has one name over all folds and one part per fold, because what a fold
may train with depends on who validates in it. Without an action: a table of the dataset's sets."""

EXAMPLES = """\
examples:
  nnUNetv2_tf_sets -d 501
      lists the sets of Dataset501
  nnUNetv2_tf_sets -d 501 --add FOLDER -s mine -f 0 -ancestors ancestors.json
      adds FOLDER/imagesTr and FOLDER/labelsTr, made by any program, for fold 0; ancestors.json names the real cases
      each synthetic case was made from: {"synthetic_0001": ["BraTS_0007", "BraTS_0012"], ...}
  nnUNetv2_train 501 3d_fullres 0 -tr TFEnrichedTrainer_mine_100epochs_seed0
      trains with it
  nnUNetv2_tf_sets -d 501 --preprocess -s mine -f 0 -c 2d
      makes it usable for another configuration
  nnUNetv2_tf_sets -d 501 --export -s mine -o 701
      writes a dataset for stock nnU-Net: synthetic cases are copied, real ones referred to
  nnUNetv2_tf_sets -d 501 --pseudolabel 602 -f 0 -tr TFBaselineTrainer_100epochs_seed0 -device cuda
      has the fold's baseline label the unlabelled scans of Dataset602 (nnUNetv2_tf_preprocess_healthy -unlabelled);
      what it is sure of can then be a donor: nnUNetv2_tf_synthesize ... -pseudolabelled 602
  nnUNetv2_tf_sets -d 501 --remove -s mine
      deletes the set (with -f only that fold's part)
  nnUNetv2_tf_sets -d 501 --clear_kept
      deletes what fits and sets have kept of hosts for the next ones (-kept_gb), the training data of fits that have
      not ended, and pools of online trainings that were given up; all of it is made anew when needed
"""


def main() -> int:
    """Run the console command; return its exit code."""
    arguments = _parser().parse_args()
    return run_command(lambda: _run(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("nnUNetv2_tf_sets", DESCRIPTION, EXAMPLES)
    parser.add_argument("-d", required=True, metavar="DATASET", help="dataset id or name (501, Dataset501_BraTS)")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--add", type=Path, metavar="FOLDER", help="add the cases of a folder in nnU-Net's layout")
    action.add_argument("--preprocess", action="store_true", help="preprocess what is missing or out of date")
    action.add_argument("--export", action="store_true", help="write real and synthetic cases for stock nnU-Net")
    action.add_argument("--remove", action="store_true", help="delete a set, or its part for a fold")
    action.add_argument("--clear_kept", action="store_true", help="delete what was kept only to be faster")
    action.add_argument(
        "--pseudolabel", metavar="UNLABELLED", help="label a dataset of unlabelled scans by the baseline"
    )
    parser.add_argument("-s", metavar="SET", help="the set's name: lower-case letters and digits (tf100)")
    parser.add_argument("-f", nargs="+", type=parse_fold, metavar="FOLD", help="fold or folds: 0 1 2 ... or all")
    ancestry = parser.add_mutually_exclusive_group()
    ancestry.add_argument("-ancestors", type=Path, metavar="FILE", help="JSON {synthetic case: [real case, ...]}")
    ancestry.add_argument("--trust", action="store_true", help="ancestors are unknown; you answer for leaks yourself")
    parser.add_argument(
        "-c", nargs="+", metavar="CONFIGURATION",
        help="configurations to preprocess (default: those of the real cases); with --pseudolabel: the baseline's "
        "(default: 3d_fullres)",
    )  # fmt: skip
    parser.add_argument("-p", default="nnUNetPlans", metavar="PLANS", help="plans (default: nnUNetPlans)")
    parser.add_argument("-o", type=int, metavar="ID", help="with --export: the new dataset's number")
    parser.add_argument("-name", help="with --export: the new dataset's name (default: of the old one and the set)")
    parser.add_argument("-np", type=positive, default=2, metavar="N", help="cases worked on at once (default: 2)")
    pseudo = parser.add_argument_group(
        "pseudo-labels", "with --pseudolabel: which components of what a baseline predicts count as tumours"
    )
    pseudo.add_argument("-tr", metavar="TRAINER", help="whose finished training is the baseline (TFBaselineTrainer)")
    add_trust_argument(pseudo)
    pseudo.add_argument("-min_ml", type=float, metavar="ML", help="they have at least so many ml (default: 1)")
    pseudo.add_argument(
        "-confidence", type=share, metavar="P", help="mean probability of tumour in them at least (default: 0.8)"
    )
    pseudo.add_argument(
        "-keep", type=float, nargs=2, metavar=("LOW", "HIGH"),
        help="share that is recognised once more, in a box around them: above LOW and up to HIGH (default: 0.7 1)",
    )  # fmt: skip
    pseudo.add_argument("--disable_tta", action="store_true", help="predict without mirroring: faster, less exact")
    pseudo.add_argument("-device", choices=["cuda", "cpu"], help="where the baseline works (default: cpu)")
    pseudo.add_argument("--overwrite", action="store_true", help="label anew what is labelled already")
    return parser


_TAKES = {  # action: (options it needs, options it takes besides)
    "add": ("s f", "ancestors trust c p np"),
    "preprocess": ("s", "f c p np"),
    "export": ("s o", "f p name"),
    "remove": ("s", "f"),
    "pseudolabel": ("f", "c p tr trust_checkpoint min_ml confidence keep disable_tta device overwrite"),
    "clear_kept": ("", ""),
    None: ("", ""),
}


def _run(arguments: argparse.Namespace) -> None:
    _check_options(arguments)
    from nnunetv2_tf.sets import manage

    folds = tuple(arguments.f) if arguments.f else None
    configurations = tuple(arguments.c) if arguments.c else None
    if arguments.add:
        manage.add(
            manage.AddRequest(
                dataset=arguments.d,
                folder=arguments.add,
                set_name=arguments.s,
                folds=tuple(arguments.f),
                ancestors=arguments.ancestors,
                configurations=configurations,
                plans=arguments.p,
                num_processes=arguments.np,
            )
        )
    elif arguments.preprocess:
        manage.preprocess(
            manage.PreprocessRequest(
                dataset=arguments.d,
                set_name=arguments.s,
                folds=folds,
                configurations=configurations,
                plans=arguments.p,
                num_processes=arguments.np,
            )
        )
    elif arguments.export:
        manage.export(
            manage.ExportRequest(
                dataset=arguments.d,
                set_name=arguments.s,
                folds=folds,
                target_id=arguments.o,
                name=arguments.name,
                plans=arguments.p,
            )
        )
    elif arguments.remove:
        manage.remove(manage.RemoveRequest(dataset=arguments.d, set_name=arguments.s, folds=folds))
    elif arguments.pseudolabel:
        _pseudolabel(arguments)
    elif arguments.clear_kept:
        print(manage.clear_kept(arguments.d))
    else:
        print(manage.table(arguments.d))


def _pseudolabel(arguments: argparse.Namespace) -> None:
    from nnunetv2_tf.quality.pseudo_labels import ComponentRules
    from nnunetv2_tf.sets.names import BASELINE
    from nnunetv2_tf.synthesis.pseudo_labels import PseudoLabelRequest, pseudolabel

    configurations = arguments.c or ["3d_fullres"]
    if len(configurations) > 1:
        raise UserError("One baseline labels the scans, and so one configuration; give one with -c.")
    if arguments.min_ml is not None and not 0 <= arguments.min_ml < float("inf"):
        raise UserError(f"-min_ml takes a volume of 0 ml or more, not {arguments.min_ml:g}.")
    keep = arguments.keep and check_keep(*arguments.keep)
    given = {"min_ml": arguments.min_ml, "confidence": arguments.confidence, "keep": keep}
    pseudolabel(
        PseudoLabelRequest(
            dataset=arguments.d,
            unlabelled=arguments.pseudolabel,
            folds=tuple(arguments.f),
            configuration=configurations[0],
            plans=arguments.p,
            trainer=arguments.tr or BASELINE,
            rules=ComponentRules(**{name: value for name, value in given.items() if value is not None}),
            mirroring=not arguments.disable_tta,
            device=arguments.device or "cpu",
            overwrite=arguments.overwrite,
            trust_checkpoint=arguments.trust_checkpoint,
        )
    )


def _check_options(arguments: argparse.Namespace) -> None:
    """Raise when an action lacks an option that it needs, or has one that means nothing to it."""
    action = next((name for name in _TAKES if name and getattr(arguments, name)), None)
    needed, taken = (options.split() for options in _TAKES[action])
    missing = [f"-{name}" for name in needed if getattr(arguments, name) is None]
    if missing:
        raise UserError(f"--{action} needs {' and '.join(missing)} too; nnUNetv2_tf_sets -h shows examples.")
    given = {name for name, value in vars(arguments).items() if value != _parser().get_default(name)}
    strangers = sorted(given - {"d", action, *needed, *taken})
    if strangers:
        whose = f"--{action}" if action else "the table of sets"
        raise UserError(f"-{strangers[0]} does not belong to {whose}; nnUNetv2_tf_sets -h shows examples.")
    if arguments.add and not (arguments.ancestors or arguments.trust):
        raise UserError(
            "--add needs -ancestors FILE, which names the real cases behind each synthetic one so that none leaks "
            "into validation, or --trust if you answer for that yourself."
        )


if __name__ == "__main__":
    sys.exit(main())
