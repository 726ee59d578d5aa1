"""What healthy scans are laid upon. In: a dataset of real scans, or a NIfTI file. Out: one brain on one grid.

The reference of a dataset is the mean of its scans' first channel, each normalised inside its brain and without its
tumour. Scans that do not share a grid are first laid upon the first of them, whose grid and orientation it has.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunetv2_tf.arguments import Fold
from nnunetv2_tf.cases import CaseFiles, case_digest, raw_cases, refuse_damaged, write_nifti
from nnunetv2_tf.errors import UserError
from nnunetv2_tf.folders import REFERENCE, Dataset
from nnunetv2_tf.folds import fold_split, refuse_strangers
from nnunetv2_tf.meaning import Meaning
from nnunetv2_tf.preparation.registration import register
from nnunetv2_tf.preparation.skull_strip import is_stripped
from nnunetv2_tf.stamps import digest, file_digest
from nnunetv2_tf.work import in_parallel, read_json, write_json

BRIGHTNESS = 1000.0  # of the brightest voxel of a mean
TOLERANCE = 1e-3  # mm, between grids that count as one
ORIENTATION = "LPS"
MAKING = 2  # counts up when references come to be made in another way


@dataclass(frozen=True)
class Reference:
    """A brain: float32, 0 outside."""

    image: sitk.Image
    ancestors: tuple[str, ...]  # the real cases it is made of
    source: str  # digest of what it is made of

    @property
    def brain(self) -> np.ndarray:
        """(Z, Y, X) bool."""
        return sitk.GetArrayViewFromImage(self.image) != 0


def read_reference(path: Path) -> Reference:
    """A NIfTI file as reference; its head must be off."""
    image = read_scan(path)
    if image.GetDimension() != 3:
        raise UserError(f"{path} has {image.GetDimension()} dimensions; a reference has three.")
    refuse_head(path, image)
    return Reference(image, (), file_digest(path))


def dataset_reference(dataset: Dataset, fold: Fold | None, num_processes: int = 1) -> Reference:
    """The mean of a dataset's scans, of a fold's training cases only if one is given; kept until they change."""
    cases = raw_cases(dataset)
    names = sorted(cases if fold is None else fold_split(dataset, fold, cases).train)
    refuse_strangers(names, cases, dataset)
    meaning = Meaning.read(dataset)
    source = digest([MAKING, [case_digest(cases[name]) for name in names], meaning.tumour])
    path = reference_file(dataset, fold)
    record = path.with_name(path.name.replace(".nii.gz", ".json"))
    if not (path.exists() and record.exists() and read_json(record, "delete it.").get("source") == source):
        record.unlink(missing_ok=True)
        write_nifti(mean_brain([cases[name] for name in names], meaning.tumour, num_processes), path)
        write_json(record, {"source": source, "cases": names})
    return Reference(sitk.ReadImage(str(path)), tuple(names), source)


def reference_file(dataset: Dataset, fold: Fold | None) -> Path:
    """Where the reference of a dataset is kept."""
    return dataset.preprocessed / "tf" / REFERENCE / f"{'all' if fold is None else f'fold_{fold}'}.nii.gz"


def mean_brain(cases: Sequence[CaseFiles], tumour: Sequence[int], num_processes: int = 1) -> sitk.Image:
    """The mean of scans without their tumours, where at least half of them have brain."""
    if not cases:
        raise UserError("A reference needs at least one scan; name a dataset that has some.")
    total, counted, brains = (np.zeros(()) for _ in range(3))
    laid = partial(_healthy_tissue, cases[0].images[0], tumour)
    for values, brain in in_parallel(laid, cases, num_processes, "Making the reference"):
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
    """A scan on the first one's grid, normalised, NaN in its tumour and outside its brain; and its brain."""
    image, label = (sitk.DICOMOrient(read_scan(path), ORIENTATION) for path in (case.images[0], case.label))
    refuse_head(case.images[0], image)
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


def orientation(image: sitk.Image) -> str:
    """Where the axes of a scan point, in letters: RAS, LPS, ..."""
    return sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(image.GetDirection())


def same_grid(one: sitk.Image, other: sitk.Image) -> bool:
    """Whether two scans have the same voxels in the same places."""
    if one.GetSize() != other.GetSize():
        return False
    corners = [[0, 0, 0], [size - 1 for size in one.GetSize()], [one.GetSize()[0] - 1, 0, 0]]
    places = [
        np.subtract(one.TransformIndexToPhysicalPoint(c), other.TransformIndexToPhysicalPoint(c)) for c in corners
    ]
    return bool(np.abs(places).max() < TOLERANCE)


def grid_of(path: Path) -> sitk.Image:
    """An empty image on the grid of a file, of which only the header is read."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        raise UserError(f"{path} cannot be read, it is missing, damaged or cut short; replace it.") from None
    grid = sitk.Image(reader.GetSize(), sitk.sitkUInt8)
    grid.SetSpacing(reader.GetSpacing())
    grid.SetOrigin(reader.GetOrigin())
    grid.SetDirection(reader.GetDirection())
    return grid


def read_scan(path: Path) -> sitk.Image:
    """float32; damage is refused."""
    refuse_damaged(path)
    return sitk.ReadImage(str(path), sitk.sitkFloat32)


def refuse_head(path: Path, image: sitk.Image) -> None:
    """Raises when a scan shows more than a brain."""
    if not is_stripped(image):
        raise UserError(
            f"{path} shows more than a brain on a background of 0; strip the skull first, of all scans in the same way."
        )
