"""nnUNetv2_tf_report: the page of a set; its figures, realism and usefulness."""

import argparse
import sys
from pathlib import Path
from typing import Any

from nnunetv2_tf.io.arguments import add_trust_argument, check_seed, command_parser, parse_fold, positive
from nnunetv2_tf.io.errors import UserError, run_command

FEWEST_FREE = 8  # as many patients are needed

DESCRIPTION = """\
Writes the page of a set, report.html in each of its parts: what made it, what its cases went through from host to
finished case (slices, labels), volumes and places beside those of training cases, what was left out and why, and
whether validation stays clean. One file that needs no other and asks for nothing from outside. It shows patients.

With --reader_study instead: a page on which somebody tells real tumours from made ones, blinded; --score says how well.

With --figures instead: do its tumours look real, is it worth training on, and what does a trained nnU-Net recognise of
it? Figures that were measured are on pages that are written afterwards.

Realism is asked of named figures, of an encoder that no method learnt through (-judge), and of small networks that
begin anew; each says how often it finds the made one of a real and a made tumour (AUC: 0.5 is not told apart). It is
asked on the set's own hosts and on free sides: the set's method puts tumours where patients are free of their own, so
that nothing but the tumour differs. Columns beside it: real patients against one another, and tissue without tumour.

Usefulness: a fast voxel classifier is trained on the set, on real cases and on both, and scored on real ones.

All of it reads the fold's validation cases, so it is for choosing between methods on data that decide nothing later."""

EXAMPLES = """\
examples:
  nnUNetv2_tf_report -d 501 -s tf100
      pages of all folds' parts of the set tf100, in nnUNet_raw/Dataset501_X/tf/tf100/fold_K/report.html
  nnUNetv2_tf_report -d 501 -s ta100 --compare tf100 -f 0
      the same lines by another method beside each case (both sets made with the same -recipe, or -seed)
  nnUNetv2_tf_report -d 501 -s tf100 --no_real
      without images and names of patients, to be shown to others
  nnUNetv2_tf_report -d 501 -s tf100 -f 0 --reader_study 20
      twenty tumours, real and made, for somebody to tell apart; then nnUNetv2_tf_report --score answers.json
  nnUNetv2_tf_report -d 501 -s tf100 -channel t2f
      another channel than the first
  nnUNetv2_tf_report -d 501 -s tf100 --figures
      figures of all folds' parts of the set tf100
  nnUNetv2_tf_report -d 501 -s tf100 -f 0 --figures -judge TFBaselineTrainer_100epochs_seed1
      fold 0; the encoder of a baseline trained with another seed looks, too
"""


def main() -> int:
    """Run the console command; return its exit code."""
    arguments = _parser().parse_args()
    return run_command(lambda: _run(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("nnUNetv2_tf_report", DESCRIPTION, EXAMPLES)
    parser.add_argument("-d", metavar="DATASET", help="dataset id or name (501, Dataset501_BraTS)")
    parser.add_argument("-s", metavar="SET", help="the set's name")
    parser.add_argument("-f", nargs="+", type=parse_fold, metavar="FOLD", help="fold or folds (default: all it has)")
    page = parser.add_argument_group("the page")
    page.add_argument("--no_real", action="store_true", help="leave images and names of patients out")
    page.add_argument("-num_shown", type=positive, default=12, metavar="N", help="cases shown (default: 12)")
    page.add_argument("-channel", metavar="NAME", help="shown, here and to readers (default: the dataset's first)")
    page.add_argument("--compare", nargs="+", default=[], metavar="SET", help="other sets on the same recipe")
    study = parser.add_argument_group("reader study", "can somebody tell real tumours from made ones?")
    study.add_argument(
        "--reader_study", type=positive, metavar="N", help="write a blinded page of N tumours, half of them real"
    )
    study.add_argument("--whole", action="store_true", help="brains, else only what is near tumours")
    study.add_argument("--score", type=Path, metavar="FILE", help="score the answers that a reader has saved")
    parser.add_argument("--figures", action="store_true", help="measure; takes minutes, and reads validation cases")
    parser.add_argument(
        "-judge", metavar="TRAINER",
        help="baseline whose encoder looks, of another seed than the one methods were fitted by (default: none looks)",
    )  # fmt: skip
    parser.add_argument(
        "-tr", metavar="TRAINER",
        help="baseline that is asked what it recognises (default: that of the set's filter, else of its method's fit)",
    )  # fmt: skip
    parser.add_argument(
        "-num_free", type=int, default=24, metavar="N",
        help="cases made on free sides, 8 or more; 0: none are made (default: 24)",
    )  # fmt: skip
    add_trust_argument(parser)
    parser.add_argument("-seed", type=int, default=0, metavar="K", help="of all that is drawn (default: 0)")
    parser.add_argument("-np", type=positive, default=2, metavar="N", help="cases worked on at once (default: 2)")
    parser.add_argument("-device", default="cpu", choices=["cuda", "cpu"], help="where networks work (default: cpu)")
    return parser


def _run(arguments: argparse.Namespace) -> None:
    check_seed(arguments.seed)
    if arguments.score is not None:
        from nnunetv2_tf.report.page.score import score_answers

        score_answers(arguments.score)
        return
    if arguments.d is None or arguments.s is None:
        raise UserError("Say which set: -d DATASET -s SET (only --score FILE knows it from the file).")
    chosen = [name for name in ("figures", "reader_study") if getattr(arguments, name)]
    if arguments.figures and arguments.channel:
        raise UserError("Figures are of all channels; leave -channel out.")
    if chosen and (arguments.no_real or arguments.compare):
        raise UserError(f"--no_real and --compare belong to the page; leave --{chosen[0]} out.")
    if len(chosen) > 1:
        raise UserError("--figures and --reader_study are two things; ask for one after the other.")
    if arguments.reader_study:
        _write_studies(arguments)
        return
    if not arguments.figures:
        _write_pages(arguments)
        return
    if arguments.num_free != 0 and arguments.num_free < FEWEST_FREE:
        raise UserError(f"-num_free takes {FEWEST_FREE} or more, fewer cannot be measured; or 0 for none.")
    from nnunetv2_tf.report.figures import FiguresRequest, report_figures

    report_figures(
        FiguresRequest(
            **_which(arguments),
            judge=arguments.judge,
            trainer=arguments.tr,
            num_free=arguments.num_free,
            seed=arguments.seed,
            device=arguments.device,
            trust_checkpoint=arguments.trust_checkpoint,
        )
    )


def _which(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what all requests have: which parts, and by how many processes."""
    folds = None if arguments.f is None else tuple(arguments.f)
    return {"dataset": arguments.d, "set_name": arguments.s, "folds": folds, "num_processes": arguments.np}


def _write_studies(arguments: argparse.Namespace) -> None:
    from nnunetv2_tf.report.page.reader_study import StudyRequest, write_studies

    write_studies(
        StudyRequest(
            **_which(arguments),
            number=arguments.reader_study,
            whole=arguments.whole,
            channel=arguments.channel,
            seed=arguments.seed,
        )
    )


def _write_pages(arguments: argparse.Namespace) -> None:
    from nnunetv2_tf.report.page.write import PageRequest, write_pages

    write_pages(
        PageRequest(
            **_which(arguments),
            with_real=not arguments.no_real,
            num_shown=arguments.num_shown,
            compare=tuple(arguments.compare),
            channel=arguments.channel,
        )
    )


if __name__ == "__main__":
    sys.exit(main())
