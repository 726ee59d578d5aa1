"""nnUNetv2_tf_convert_healthy: healthy scans as an nnU-Net dataset on the grid of the real ones."""

import argparse
import sys
from pathlib import Path

from nnunetv2_tf.io.arguments import command_parser, parse_fold, positive
from nnunetv2_tf.io.errors import UserError, run_command

DESCRIPTION = """\
Turns folders of healthy head scans into an nnU-Net dataset that fits your labelled one: skull off, laid upon the mean
of the labelled scans (rigid, then affine), resampled once onto their grid, background 0, label 1 = brain. One scan per
person: of the first session with all channels. What cannot be used is reported, what came out badly is left out, a
contact sheet shows all. Run it again to continue, or with more folders to add theirs."""

EXAMPLES = """\
examples:
  nnUNetv2_tf_convert_healthy -i IXI -d 601 -name Healthy -reference 501
      the layout is recognised: IXI, PPMI (download tree with DICOM, or NIfTI), BIDS
  nnUNetv2_tf_convert_healthy -i IXI ds000001 ds000002 -d 601 -name Healthy -reference 501
      several folders in one dataset; people of BIDS folders are called ds000001_sub-01
  nnUNetv2_tf_convert_healthy -i ds000001 -d 601 -name Healthy -reference 501 -where group=control -session 1
      of a BIDS dataset the controls' session 1 (participants.tsv)
  nnUNetv2_tf_convert_healthy -i PPMI -d 601 -name Healthy -reference 501 -where Group=Control
      most people in PPMI are patients: the controls, by the .csv file that comes with a download, put beside it
  nnUNetv2_tf_convert_healthy -i scans -d 601 -name Healthy -reference 501 -glob 't1n=*_T1.nii.gz'
      any folder; what * stands for names the cases
  nnUNetv2_tf_convert_healthy -i IXI -d 601 -name Healthy -reference 501 -f 0 -strip synthstrip -np 8
      upon the mean of fold 0's training cases only, with another skull stripper, eight scans at once
"""


def main() -> int:
    """Run the console command; return its exit code."""
    arguments = _parser().parse_args()
    return run_command(lambda: _run(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("nnUNetv2_tf_convert_healthy", DESCRIPTION, EXAMPLES)
    parser.add_argument(
        "-i", nargs="+", action="extend", type=Path, required=True, metavar="FOLDER", help="folders that hold scans"
    )
    parser.add_argument("-d", type=int, required=True, metavar="ID", help="number of the new dataset")
    parser.add_argument("-name", required=True, help="its name, without number")
    parser.add_argument("-reference", required=True, metavar="REF", help="the labelled dataset, or a brain as .nii.gz")
    parser.add_argument(
        "-f", type=parse_fold, metavar="FOLD", help="only this fold's training cases make the reference"
    )
    parser.add_argument(
        "-layout", default="auto", choices=["auto", "ixi", "ppmi", "bids", "folder"], help="default: %(default)s"
    )
    parser.add_argument(
        "-channels",
        nargs="+",
        action="extend",
        default=[],
        metavar="C=NAME",
        help="what the source calls a channel: t1n=T1w,MPRAGE",
    )
    parser.add_argument(
        "-glob",
        nargs="+",
        action="extend",
        default=[],
        metavar="C=PATTERN",
        help="files of a channel: 't1n=*_T1.nii.gz'",
    )
    parser.add_argument("-session", metavar="NAME", help="BIDS: which session (default: the first with all channels)")
    parser.add_argument(
        "-where", metavar="COLUMN=VALUE", help="only people with it, in participants.tsv or PPMI's .csv: group=control"
    )
    parser.add_argument("-subjects", type=Path, metavar="FILE", help="only the people in this file, one per line")
    parser.add_argument(
        "-strip", default="auto", choices=["auto", "deepbet", "hdbet", "synthstrip", "none"],
        help="skull stripper; auto: deepbet, but for scans that are stripped already (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("-n4", action="store_true", help="correct the bias field, as the labelled scans must be too")
    parser.add_argument("--keep_outliers", action="store_true", help="use scans that came out unlike the others too")
    parser.add_argument("-np", type=positive, default=2, metavar="N", help="scans worked on at once (default: 2)")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    called, globs = (_pairs(option, getattr(arguments, option)) for option in ("channels", "glob"))
    where = list(_pairs("where", [arguments.where]).items()) if arguments.where else [None]
    subjects = None if arguments.subjects is None else _lines(arguments.subjects)
    from nnunetv2_tf.conversion.healthy.convert import ConvertHealthyRequest, Target, convert_healthy
    from nnunetv2_tf.conversion.healthy.layouts import Search

    return convert_healthy(
        ConvertHealthyRequest(
            search=Search(
                folders=tuple(arguments.i),
                layout=arguments.layout,
                channels=(),
                called={channel: tuple(names.split(",")) for channel, names in called.items()},
                globs=globs,
                session=arguments.session,
                where=where[0],
                subjects=subjects,
            ),
            number=arguments.d,
            name=arguments.name,
            target=Target(arguments.reference, arguments.f),
            strip=arguments.strip,
            n4=arguments.n4,
            keep_outliers=arguments.keep_outliers,
            num_processes=arguments.np,
        )
    )


def _lines(path: Path) -> tuple[str, ...]:
    """Read the people that -subjects names, one per line."""
    if not path.is_file():
        raise UserError(f"{path} does not exist; -subjects takes a file with one person per line.")
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    people = tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    if not people:
        raise UserError(f"{path} names nobody; write one person per line.")
    return people


def _pairs(option: str, texts: list[str]) -> dict[str, str]:
    """Return what an option says as KEY=VALUE, each key once."""
    example = {"where": "group=control", "glob": "t1n=*_T1.nii.gz"}.get(option, "t1n=T1w")
    pairs = [text.partition("=") for text in texts]
    for key, _, value in pairs:
        if not key or not value:
            raise UserError(f"-{option} takes pairs like {example}, not {key!r}.")
        if [other for other, _, _ in pairs].count(key) > 1:
            raise UserError(f"-{option} names {key} twice; name it once.")
    return {key: value for key, _, value in pairs}


if __name__ == "__main__":
    sys.exit(main())
