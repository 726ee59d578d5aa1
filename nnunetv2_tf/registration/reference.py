"""The reference for registration. In: a dataset of real scans, or a NIfTI file. Out: one brain on one grid.

The reference of a dataset is the mean of its scans' first channel, each normalised inside its brain and without its
tumour. Scans that do not share a grid are first registered to the first of them, whose grid and orientation it has.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunetv2_tf.dataset.cases import CaseFiles, case_digest, raw_cases
from nnunetv2_tf.dataset.folders import REFERENCE, Dataset
from nnunetv2_tf.dataset.folds import check_known_cases, fold_split
from nnunetv2_tf.dataset.label_roles import LabelRoles
from nnunetv2_tf.dataset.volumes import grid_of, orientation, read_scan, same_grid, write_nifti
from nnunetv2_tf.io.arguments import Fold
from nnunetv2_tf.io.digests import digest, file_digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.io.parallel import in_parallel
from nnunetv2_tf.registration.register import register
from nnunetv2_tf.registration.skull_strip import is_stripped

BRIGHTNESS = 1000.0  # of the brightest voxel of a mean
ORIENTATION = "LPS"
MAKING = 2  # version of how references are made: those of earlier versions are made again


@dataclass(frozen=True)
class Reference:
    """A brain that scans are registered to: float32, 0 outside."""

    image: sitk.Image
    ancestors: tuple[str, ...]  # the real cases it is made of
    source: str  # digest of what it is made of

    @property
    def brain(self) -> np.ndarray:
        """Where the brain is, (Z, Y, X) bool."""
        return sitk.GetArrayViewFromImage(self.image) != 0


def read_reference(path: Path) -> Reference:
    """Read a NIfTI file as reference; it must be skull-stripped."""
    image = read_scan(path)
    if image.GetDimension() != 3:
        raise UserError(f"{path} has {image.GetDimension()} dimensions; a reference has three.")
    check_skull_stripped(path, image)
    return Reference(image, (), file_digest(path))


def dataset_reference(dataset: Dataset, fold: Fold | None, num_processes: int = 1) -> Reference:
    """Return the mean of a dataset's scans, or of a fold's training cases; it is kept on disk until they change."""
    cases = raw_cases(dataset)
    names = sorted(cases if fold is None else fold_split(dataset, fold, cases).train)
    check_known_cases(names, cases, dataset)
    roles = LabelRoles.read(dataset)
    source = digest([MAKING, [case_digest(cases[name]) for name in names], roles.tumour])
    path = reference_file(dataset, fold)
    record = path.with_name(path.name.replace(".nii.gz", ".json"))
    kept = read_json(record, "delete it.") if record.exists() else {}
    same = isinstance(kept, dict) and kept.get("source") == source and path.is_file()
    if not (same and kept.get("sha256") in (None, file_digest(path))):  # older records have no digest
        record.unlink(missing_ok=True)
        write_nifti(mean_brain([cases[name] for name in names], roles.tumour, num_processes), path)
        write_json(record, {"source": source, "cases": names, "sha256": file_digest(path)})
    return Reference(sitk.ReadImage(str(path)), tuple(names), source)


def reference_file(dataset: Dataset, fold: Fold | None) -> Path:
    """Return the path at which the reference of a dataset is kept."""
    return dataset.preprocessed / "tf" / REFERENCE / f"{'all' if fold is None else f'fold_{fold}'}.nii.gz"


def mean_brain(cases: Sequence[CaseFiles], tumour: Sequence[int], num_processes: int = 1) -> sitk.Image:
    """Return the mean of scans without their tumours, where at least half of them have brain."""
    if not cases:
        raise UserError("A reference needs at least one scan; name a dataset that has some.")
    total, counted, brains = (np.zeros(()) for _ in range(3))
    on_first_grid = partial(_healthy_tissue, cases[0].images[0], tumour)
    for values, brain in in_parallel(on_first_grid, cases, num_processes, "Making the reference"):
        healthy = ~np.isnan(values)
        total = total + np.where(healthy, values, 0)
        counted, brains = counted + healthy, brains + brain
    inside = (brains >= len(cases) / 2) & (counted > 0)
    mean_scan = np.where(inside, total / np.maximum(counted, 1), 0)
    low, high = np.percentile(mean_scan[inside], [0.1, 99.9])
    scaled = np.clip((mean_scan - low) / (high - low), 1 / BRIGHTNESS, 1) * BRIGHTNESS
    image = sitk.GetImageFromArray(np.where(inside, scaled, 0).astype(np.float32))
    first = grid_of(cases[0].images[0])
    image.CopyInformation(sitk.DICOMOrient(first, ORIENTATION))
    return sitk.DICOMOrient(image, orientation(first))


def _healthy_tissue(grid: Path, tumour: Sequence[int], case: CaseFiles) -> tuple[np.ndarray, np.ndarray]:
    """Return a scan on the first scan's grid, normalised, NaN in its tumour and outside its brain; and its brain."""
    image, label = (sitk.DICOMOrient(read_scan(path), ORIENTATION) for path in (case.images[0], case.label))
    check_skull_stripped(case.images[0], image)
    if not same_grid(image, sitk.DICOMOrient(grid_of(grid), ORIENTATION)):
        first = sitk.DICOMOrient(read_scan(grid), ORIENTATION)
        transform = register(image, first).transform
        image = sitk.Resample(image, first, transform, sitk.sitkLinear, 0.0)
        label = sitk.Resample(label, first, transform, sitk.sitkNearestNeighbor, 0.0)
    values = sitk.GetArrayFromImage(image)
    brain = values != 0
    healthy = brain & ~np.isin(sitk.GetArrayViewFromImage(label), list(tumour))
    if not healthy.any():
        raise UserError(f"{case.label} marks all of the brain as tumour; correct it, or take the case out.")
    mean, sd = values[healthy].mean(), values[healthy].std()
    return np.where(healthy, (values - mean) / max(float(sd), 1e-6), np.nan), brain


def check_skull_stripped(path: Path, image: sitk.Image) -> None:
    """Raise when a scan shows more than a brain."""
    if not is_stripped(image):
        raise UserError(
            f"{path} shows more than a brain on a background of 0; strip the skull first, of all scans in the same way."
        )
