"""Healthy scans become an nnU-Net raw dataset on the grid of the real ones. Label 1 is the brain.

Each scan is prepared by itself, and complete with its record in `prepared/`; a scan that cannot be used is reported and
does not stop the others. dataset.json goes first and comes back last, when imagesTr holds exactly the scans that this
command found and found good. All others lie in `left_out/`.
"""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from nnunetv2_tf.cases import channel_files, read_nifti, write_nifti
from nnunetv2_tf.dataset_conversion.dicom import read_series
from nnunetv2_tf.dataset_conversion.scans import Scan
from nnunetv2_tf.errors import UserError
from nnunetv2_tf.folders import Dataset
from nnunetv2_tf.preparation.pipeline import prepare
from nnunetv2_tf.preparation.quality_control import Measures, outliers
from nnunetv2_tf.preparation.reference import Reference
from nnunetv2_tf.preparation.skull_strip import How
from nnunetv2_tf.provenance import versions
from nnunetv2_tf.records import read_record, to_json
from nnunetv2_tf.stamps import digest, file_digest
from nnunetv2_tf.work import in_parallel, read_json, write_json

ENDING = ".nii.gz"
LEFT_OUT = "left_out"
AGAIN = "delete it and run the same command again."


@dataclass(frozen=True)
class Request:
    """How scans are prepared."""

    dataset: Dataset
    reference: Reference
    channels: tuple[str, ...]
    strip: How
    n4: bool

    @property
    def stamp(self) -> str:
        """The same for what makes the same of a scan."""
        return digest([self.reference.source, self.channels, self.strip, self.n4])

    def files(self, case: str, left_out: bool = False) -> list[Path]:
        """Images and label of a case, where they belong."""
        folder = self.dataset.raw / LEFT_OUT if left_out else self.dataset.raw
        images = channel_files(folder / "imagesTr", case, ENDING, len(self.channels))
        return [*images, folder / "labelsTr" / f"{case}{ENDING}"]

    def record(self, case: str) -> Path:
        """What is known of a prepared case."""
        return self.dataset.raw / "prepared" / f"{case}.json"


@dataclass(frozen=True)
class Preparation:
    """A prepared scan, as in prepared/<case>.json. Holds nothing that DICOM says of a patient."""

    case: str
    stamp: str
    sources: tuple[str, ...]  # digests of what was read, per channel
    geometry_ancestors: tuple[str, ...]  # the real cases that the reference is made of
    transform: tuple[float, ...]  # matrix (4, 4) that takes points of the reference to points of the scan
    measures: Measures
    versions: dict[str, str]


@dataclass(frozen=True)
class Outcome:
    """What became of a scan."""

    case: str
    status: str  # prepared, outlier, or unusable
    reasons: tuple[str, ...]
    measures: Measures | None


def convert_scans(
    request: Request, scans: Sequence[Scan], unusable: Mapping[str, str], keep_outliers: bool, num_processes: int
) -> list[Outcome]:
    """Prepares what is missing, leaves outliers out, writes dataset.json and conversion_report.json."""
    raw = request.dataset.raw
    (raw / "dataset.json").unlink(missing_ok=True)
    waiting = [scan for scan in scans if not _is_prepared(request, scan)]
    failures = dict(unusable)
    for scan, failure in zip(
        waiting, in_parallel(partial(_prepare_case, request), waiting, num_processes, "Preparing"), strict=True
    ):
        if failure is not None:
            failures[scan.case] = failure
    measures = {
        scan.case: read_record(Preparation, request.record(scan.case), AGAIN).measures
        for scan in scans
        if scan.case not in failures
    }
    odd = outliers(measures, {scan.case: str(scan.collection) for scan in scans})
    outcomes = [Outcome(case, "unusable", (reason,), None) for case, reason in failures.items()]
    for case, measured in measures.items():
        status = "outlier" if case in odd and not keep_outliers else "prepared"
        outcomes.append(Outcome(case, status, tuple(odd.get(case, ())), measured))
    outcomes.sort(key=lambda outcome: outcome.case)
    used = [outcome.case for outcome in outcomes if outcome.status == "prepared"]
    place_cases(request, used)
    write_json(raw / "conversion_report.json", [to_json(outcome) for outcome in outcomes])
    if used:
        write_json(raw / "dataset.json", description(request, len(used)))
    return outcomes


def place_cases(request: Request, used: Collection[str]) -> None:
    """Leaves nothing but these cases in imagesTr and labelsTr."""
    wanted = {file for case in used for file in request.files(case)}
    for folder in ("imagesTr", "labelsTr"):
        for file in (request.dataset.raw / folder).glob(f"*{ENDING}"):
            if file not in wanted:
                _move(file, request.dataset.raw / LEFT_OUT / folder / file.name)
    for case in used:
        for now, there in zip(request.files(case, left_out=True), request.files(case), strict=True):
            if not there.exists():
                _move(now, there)


def description(request: Request, cases: int) -> dict[str, Any]:
    """The dataset.json."""
    return {
        "name": request.dataset.name,
        "channel_names": {str(index): name for index, name in enumerate(request.channels)},
        "labels": {"background": 0, "brain": 1},
        "numTraining": cases,
        "file_ending": ENDING,
    }


def _is_prepared(request: Request, scan: Scan) -> bool:
    path = request.record(scan.case)
    if not path.exists():
        return False
    record = read_json(path, AGAIN)
    try:
        sources = _sources(scan)
    except OSError:  # preparing it will say what is wrong
        return False
    if record.get("stamp") != request.stamp or tuple(record["sources"]) != sources:
        return False
    return any(all(file.exists() for file in request.files(scan.case, left_out)) for left_out in (False, True))


def _prepare_case(request: Request, scan: Scan) -> str | None:
    """Prepares one scan; a sentence says why it cannot be."""
    request.record(scan.case).unlink(missing_ok=True)
    try:
        images = [_read(path, channel) for path, channel in zip(scan.images, request.channels, strict=True)]
        prepared = prepare(images, request.reference, request.strip, request.n4)
        sources = _sources(scan)
    except (UserError, PermissionError, RuntimeError, ValueError) as error:  # ITK and strippers raise the latter two
        return " ".join(str(error).split())
    for path in request.files(scan.case, left_out=True):
        path.unlink(missing_ok=True)
    for path, image in zip(request.files(scan.case), (*prepared.images, prepared.brain), strict=True):
        write_nifti(image, path)
    record = Preparation(
        scan.case, request.stamp, sources, request.reference.ancestors, prepared.transform, prepared.measures,
        dict(versions()),
    )  # fmt: skip
    write_json(request.record(scan.case), to_json(record))
    return None


def _read(path: Path, channel: str) -> sitk.Image:
    """A NIfTI file or a DICOM series, as float32; 4D with a single volume counts as 3D."""
    if path.is_dir():
        image = read_series(path, channel)
    else:
        read_nifti(path)
        image = sitk.ReadImage(str(path))
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:
        image = image[:, :, :, 0]
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise UserError(f"{path} is no single 3D volume; take one volume of it.")
    if min(image.GetSize()) < 16:
        raise UserError(
            f"{path} has {' x '.join(map(str, image.GetSize()))} voxels, too few for a brain; leave it out."
        )
    image = sitk.Cast(image, sitk.sitkFloat32)
    values = sitk.GetArrayViewFromImage(image)
    if values.min() == values.max():
        raise UserError(f"{path} is empty, every voxel is {values.min():g}; replace it.")
    return image


def _sources(scan: Scan) -> tuple[str, ...]:
    """Digests of the files of each channel."""
    return tuple(
        digest([file_digest(file) for file in sorted(path.iterdir()) if file.is_file()])
        if path.is_dir()
        else file_digest(path)
        for path in scan.images
    )


def _move(file: Path, there: Path) -> None:
    there.parent.mkdir(parents=True, exist_ok=True)
    os.replace(file, there)
