"""Healthy scans as an nnU-Net raw dataset on the grid of the real ones. In: scans. Out: the dataset and what it lacks.

Label 1 is the brain. Each scan is prepared by itself, and complete with its record in `prepared/`; a scan that cannot
be used is reported and does not stop the others. dataset.json is deleted first and written last, when imagesTr holds
exactly the scans that this command was given and can use. All others lie in `left_out/`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from nnunetv2_tf.conversion.healthy.dicom import read_series
from nnunetv2_tf.conversion.healthy.scans import Scan
from nnunetv2_tf.dataset.cases import channel_files
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.provenance import versions
from nnunetv2_tf.dataset.volumes import read_image, write_nifti
from nnunetv2_tf.io.digests import digest, file_digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import put_in_place, write_json
from nnunetv2_tf.io.isolated import isolated
from nnunetv2_tf.io.json_dataclass import ONLY_IF_SET, read_record, to_json
from nnunetv2_tf.io.parallel import in_parallel
from nnunetv2_tf.io.written import WrittenFiles, are_whole, record_of
from nnunetv2_tf.registration.pipeline import prepare
from nnunetv2_tf.registration.quality_control import Measures, outliers
from nnunetv2_tf.registration.reference import Reference
from nnunetv2_tf.registration.skull_strip import Stripper

ENDING = ".nii.gz"
LEFT_OUT = "left_out"
AGAIN = "delete it and run the same command again."


@dataclass(frozen=True)
class PreparationSettings:
    """How each scan is prepared, and for which dataset."""

    dataset: Dataset
    reference: Reference
    channels: tuple[str, ...]
    strip: Stripper
    n4: bool

    @property
    def stamp(self) -> str:
        """A digest of the settings that change what is made of a scan."""
        return digest([self.reference.source, self.channels, self.strip, self.n4])

    def files(self, case: str, left_out: bool = False) -> list[Path]:
        """Return the paths of a case's images and label, in the dataset or among those left out."""
        folder = self.dataset.raw / LEFT_OUT if left_out else self.dataset.raw
        images = channel_files(folder / "imagesTr", case, ENDING, len(self.channels))
        return [*images, folder / "labelsTr" / f"{case}{ENDING}"]

    def record(self, case: str) -> Path:
        """Return the path of a prepared case's record, which is a Preparation."""
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
    files: WrittenFiles = field(
        default_factory=dict, metadata={ONLY_IF_SET: True}
    )  # by path in the dataset; else older


@dataclass(frozen=True)
class ScanOutcome:
    """What became of a scan, as in conversion_report.json."""

    case: str
    status: str  # prepared, outlier, or unusable
    reasons: tuple[str, ...]
    measures: Measures | None


def convert_scans(
    settings: PreparationSettings,
    scans: Sequence[Scan],
    unusable: Mapping[str, str],
    keep_outliers: bool,
    num_processes: int,
) -> list[ScanOutcome]:
    """Prepare what is missing, leave outliers out, write dataset.json and the report; return what became of each scan.

    Args:
        settings: how each is prepared
        scans: of all people who are wanted
        unusable: {case: why}, people whose scans are not complete, for the report
        keep_outliers: use scans that came out unlike the others too
        num_processes: scans worked on at once
    """
    raw = settings.dataset.raw
    (raw / "dataset.json").unlink(missing_ok=True)
    waiting = [scan for scan in scans if not _is_prepared(settings, scan)]
    failures = dict(unusable)
    for scan, failure in zip(
        waiting, in_parallel(partial(_prepare_case, settings), waiting, num_processes, "Preparing"), strict=True
    ):
        if failure is not None:
            failures[scan.case] = failure
    measures = {
        scan.case: read_record(Preparation, settings.record(scan.case), AGAIN).measures
        for scan in scans
        if scan.case not in failures
    }
    odd = outliers(measures, {scan.case: str(scan.collection) for scan in scans})
    outcomes = [ScanOutcome(case, "unusable", (reason,), None) for case, reason in failures.items()]
    for case, measured in measures.items():
        status = "outlier" if case in odd and not keep_outliers else "prepared"
        outcomes.append(ScanOutcome(case, status, tuple(odd.get(case, ())), measured))
    outcomes.sort(key=lambda outcome: outcome.case)
    used = [outcome.case for outcome in outcomes if outcome.status == "prepared"]
    place_cases(settings, used)
    write_json(raw / "conversion_report.json", [to_json(outcome) for outcome in outcomes])
    if used:
        write_json(raw / "dataset.json", description(settings, len(used)))
    return outcomes


def place_cases(settings: PreparationSettings, used: Collection[str]) -> None:
    """Leave nothing but the cases `used` in imagesTr and labelsTr; move others to `left_out/`, and these back."""
    wanted = {file for case in used for file in settings.files(case)}
    for folder in ("imagesTr", "labelsTr"):
        for file in (settings.dataset.raw / folder).glob(f"*{ENDING}"):
            if file not in wanted:
                _move(file, settings.dataset.raw / LEFT_OUT / folder / file.name)
    for case in used:
        for now, there in zip(settings.files(case, left_out=True), settings.files(case), strict=True):
            if not there.exists():
                _move(now, there)


def description(settings: PreparationSettings, cases: int) -> dict[str, Any]:
    """Return what dataset.json says of so many cases."""
    return {
        "name": settings.dataset.name,
        "channel_names": {str(index): name for index, name in enumerate(settings.channels)},
        "labels": {"background": 0, "brain": 1},
        "numTraining": cases,
        "file_ending": ENDING,
    }


def _is_prepared(settings: PreparationSettings, scan: Scan) -> bool:
    path = settings.record(scan.case)
    if not path.exists():
        return False
    record = read_record(Preparation, path, AGAIN)
    try:
        sources = _sources(scan)
    except OSError:  # preparing it will say what is wrong
        return False
    if record.stamp != settings.stamp or record.sources != sources:
        return False
    return any(_is_there(settings, record, left_out) for left_out in (False, True))


def _is_there(settings: PreparationSettings, record: Preparation, left_out: bool) -> bool:
    """Return whether a scan's files lie in one of the two places, as they were written."""
    raw = settings.dataset.raw
    return are_whole(raw / LEFT_OUT if left_out else raw, settings.files(record.case, left_out), record.files)


def _prepare_case(settings: PreparationSettings, scan: Scan) -> str | None:
    """Prepare one scan; return a sentence that says why where it cannot be used."""
    settings.record(scan.case).unlink(missing_ok=True)
    try:
        images = [_read(path, channel) for path, channel in zip(scan.images, settings.channels, strict=True)]
        prepared = prepare(images, settings.reference, settings.strip, settings.n4)
        sources = _sources(scan)  # after reading: of what changes meanwhile the digest is another one, too
    except (UserError, PermissionError, RuntimeError, ValueError) as error:  # ITK and strippers raise the latter two
        return " ".join(str(error).split())
    for path in settings.files(scan.case, left_out=True):
        path.unlink(missing_ok=True)
    for path, image in zip(settings.files(scan.case), (*prepared.images, prepared.brain), strict=True):
        write_nifti(image, path)
    files = record_of(settings.dataset.raw, settings.files(scan.case))
    record = Preparation(
        scan.case, settings.stamp, sources, settings.reference.ancestors, prepared.transform, prepared.measures,
        dict(versions()), files,
    )  # fmt: skip
    write_json(settings.record(scan.case), to_json(record))
    return None


def _read(path: Path, channel: str) -> sitk.Image:
    """Read a NIfTI file or a DICOM series, as float32; 4D with a single volume counts as 3D."""
    if path.is_dir():
        image = isolated(read_series, path, channel, what=str(path))
    else:
        image = read_image(path)
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
    """Return a digest of the files of each channel."""
    return tuple(
        digest([file_digest(file) for file in sorted(path.iterdir()) if file.is_file() and file.name[0] != "."])
        if path.is_dir()
        else file_digest(path)
        for path in scan.images
    )


def _move(file: Path, there: Path) -> None:
    there.parent.mkdir(parents=True, exist_ok=True)
    put_in_place(file, there)
