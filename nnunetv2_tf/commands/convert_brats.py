"""nnUNetv2_tf_convert_brats: BraTS downloads of any year become one nnU-Net dataset; predictions go back."""

import argparse
import sys
from pathlib import Path

from nnunetv2_tf.io.arguments import command_parser, positive
from nnunetv2_tf.io.errors import UserError, run_command

DESCRIPTION = """\
Makes one nnU-Net dataset out of BraTS folders, also of several years. Channels are called t1n t1c t2w t2f and classes
NCR ED ET whatever the year; labels are renumbered by each release's own table, never by value alone. Cases of one
patient stay on one side of every split. Nothing is written unless all cases are sound."""

EXAMPLES = """\
sources: brats2018 brats2019 brats2020 brats2021 2023-gli 2023-ssa 2023-ped 2023-men 2023-met 2024-gli 2024-ped msd
(msd is Task01_BrainTumour of the Medical Segmentation Decathlon). Told by the names of the cases where only one release
uses them; BraTS-GLI and BraTS-PED of 2023 and 2024 look alike and number differently, so say which.

examples:
  nnUNetv2_tf_convert_brats -i BraTS2023-GLI -source 2023-gli -d 501 -name BraTS23T1 -modalities t1n
      the paper's dataset: T1 without contrast agent; images stay where they are and are referenced
  nnUNetv2_tf_convert_brats -i BraTS2021 BraTS-Africa -d 502 -name Merged
      two releases with different numbers in one dataset, all four modalities
  nnUNetv2_tf_convert_brats -i BraTS2023-GLI -source 2023-gli -d 503 -name Paper -modalities t1n \\
      -num_train 100 -num_val 200 --only_drawn
      one fold with 100 cases to train and 200 to validate, as in the paper, and no others
  nnUNetv2_tf_convert_brats -i BraTS2023-Validation -source 2023-gli -d 602 -name More -modalities t1n --unlabelled
      scans without labels, for methods that learn from such, too
  nnUNetv2_tf_convert_brats --back -i PREDICTIONS -o FOR_UPLOAD -source brats2021
      label files in the numbering of BraTS 2021, ET 4
"""


def main() -> int:
    """Run the console command; return its exit code."""
    arguments = _parser().parse_args()
    return run_command(lambda: _run(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("nnUNetv2_tf_convert_brats", DESCRIPTION, EXAMPLES)
    parser.add_argument("-i", nargs="+", type=Path, required=True, metavar="FOLDER", help="folders that hold the cases")
    parser.add_argument("-d", type=int, metavar="ID", help="number of the new dataset")
    parser.add_argument("-name", help="its name, without number")
    parser.add_argument(
        "-source", nargs="+", metavar="SOURCE", help="what the folders are: one for all, or one for each"
    )
    parser.add_argument(
        "-modalities", nargs="+", default=["t1n", "t1c", "t2w", "t2f"], metavar="M",
        help="which, in this order (default: t1n t1c t2w t2f; the paper uses t1n, and healthy t1c hardly exists)",
    )  # fmt: skip
    parser.add_argument(
        "-labels", choices=["classes", "regions"], default="classes",
        help="train on NCR ED ET, or on the overlapping regions WT TC ET (default: classes)",
    )  # fmt: skip
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--copy", action="store_true", help="copy the images (default: dataset.json refers to them)")
    how.add_argument("--symlink", action="store_true", help="link to the images")
    parser.add_argument(
        "-groups", type=Path, metavar="FILE", help="CSV file case,group: who is one patient, where names do not say"
    )
    parser.add_argument("-num_train", type=int, metavar="N", help="with -num_val: one fold with so many training cases")
    parser.add_argument("-num_val", type=int, metavar="N", help="with -num_train: and so many validation cases")
    parser.add_argument("-split_seed", type=int, default=0, metavar="K", help="draws another such fold (default: 0)")
    parser.add_argument(
        "--only_drawn", action="store_true", help="with -num_train: leave the cases out that are on neither side"
    )
    parser.add_argument(
        "-n4", action="store_true", help="correct the bias field, in copies; the healthy scans must be treated alike"
    )
    parser.add_argument(
        "--unlabelled", action="store_true",
        help="images only, which may show tumours: the label becomes the brain, where any image is not 0; for "
        "nnUNetv2_tf_fit -unlabelled",
    )  # fmt: skip
    parser.add_argument("--back", action="store_true", help="turn predictions into a source's numbering instead")
    parser.add_argument("-o", type=Path, metavar="FOLDER", help="with --back: where to write")
    parser.add_argument("-np", type=positive, default=2, metavar="N", help="cases worked on at once (default: 2)")
    return parser


def _run(arguments: argparse.Namespace) -> None:
    needed = ["o", "source"] if arguments.back else ["d", "name"]
    missing = [f"-{name}" for name in needed if getattr(arguments, name) is None]
    if missing:
        raise UserError(f"This needs {' and '.join(missing)} too; nnUNetv2_tf_convert_brats -h shows examples.")
    if (arguments.num_train is None) is not (arguments.num_val is None):
        raise UserError("-num_train and -num_val go together; give both, or none for five folds.")
    if arguments.unlabelled and (arguments.num_train is not None or arguments.labels != "classes"):
        raise UserError("Unlabelled scans have neither labels nor folds; leave -labels, -num_train and -num_val out.")
    if arguments.only_drawn and arguments.num_train is None:
        raise UserError("--only_drawn goes with -num_train and -num_val, which draw.")
    if arguments.back and (len(arguments.i) > 1 or len(arguments.source) > 1):
        raise UserError("--back takes one folder and one source; run it once for each.")
    if arguments.back:
        _convert_back(arguments)
    else:
        _convert(arguments)


def _convert_back(arguments: argparse.Namespace) -> None:
    from nnunetv2_tf.conversion.brats.convert import convert_back
    from nnunetv2_tf.conversion.brats.relabel_predictions import RelabelRequest

    convert_back(
        RelabelRequest(
            predictions=arguments.i[0],
            output=arguments.o,
            source=arguments.source[0],
            num_processes=arguments.np,
        )
    )


def _convert(arguments: argparse.Namespace) -> None:
    from nnunetv2_tf.conversion.brats.convert import convert_brats
    from nnunetv2_tf.conversion.brats.dataset import ConvertBratsRequest

    split = (arguments.num_train, arguments.num_val, arguments.split_seed)
    convert_brats(
        ConvertBratsRequest(
            folders=tuple(arguments.i),
            number=arguments.d,
            name=arguments.name,
            sources=None if arguments.source is None else tuple(arguments.source),
            modalities=tuple(arguments.modalities),
            regions=arguments.labels == "regions",
            how="copy" if arguments.copy else "symlink" if arguments.symlink else "reference",
            groups_file=arguments.groups,
            one_fold=None if arguments.num_train is None else split,
            only_drawn=arguments.only_drawn,
            n4=arguments.n4,
            unlabelled=arguments.unlabelled,
            num_processes=arguments.np,
        )
    )


if __name__ == "__main__":
    sys.exit(main())
