"""Image files of scans. In: paths. Out: images, checked for damage; their grids and orientations; NIfTI files."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import whole_file

FLAT = 1e-3  # of the volume of a voxel: what an affine makes of it at least
TOLERANCE = 1e-3  # mm, between voxels of two grids that count as the same


def check_intact(path: Path) -> None:
    """Raise when a volume is missing, cut short, or holds NaN or infinite values.

    NIfTI files are read with nibabel for this: ITK fills a cut-off file with zeros and turns NaN into 0 silently, so
    nnU-Net's usual reader would train on the damage.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist; put it back.")
    if path.name.endswith((".nii", ".nii.gz")):
        read_nifti(path)


def read_nifti(path: Path) -> Any:
    """Read a NIfTI file as nibabel image; raise when its voxels or its affine cannot be read, or are no numbers."""
    import nibabel

    try:
        image: Any = nibabel.load(path)  # type: ignore[attr-defined]
        finite = bool(np.isfinite(np.asanyarray(image.dataobj)).all())
    except Exception:  # for damaged files nibabel, gzip and zlib raise exceptions of many kinds
        raise UserError(f"{path} cannot be read, it is damaged or cut short; replace it.") from None
    if not finite:
        raise UserError(f"{path} holds NaN or infinite values; replace them.")
    axes = image.affine[:3, :3]
    if not np.isfinite(image.affine).all() or abs(np.linalg.det(axes)) < FLAT * np.prod(image.header.get_zooms()[:3]):
        raise UserError(
            f"{path} does not say where its voxels lie: the affine of its header holds NaN, or is flat; convert the "
            "scan anew from its source."
        )
    return image


def voxel_digest(image: Any) -> str:
    """Return a digest of a nibabel image: the same for the same scan, however its file is turned or compressed."""
    import nibabel

    canonical = np.asanyarray(nibabel.as_closest_canonical(image).dataobj)  # type: ignore[attr-defined]
    sha = hashlib.sha256(str(canonical.shape).encode())
    sha.update(np.ascontiguousarray(canonical, dtype=np.float32).tobytes())
    return sha.hexdigest()


def write_nifti(image: Any, path: Path) -> None:
    """Write a SimpleITK image as .nii.gz, whole or not at all."""
    with whole_file(path) as temporary:
        named = temporary.with_name(f"{temporary.name}.nii.gz")  # ITK takes the format from the file's ending
        try:
            sitk.WriteImage(image, str(named), useCompression=True, compressionLevel=1)
            named.replace(temporary)
        except RuntimeError:
            raise UserError(f"{path} could not be written; is the disk full? Make room and run this again.") from None
        finally:
            named.unlink(missing_ok=True)


def orientation(image: sitk.Image) -> str:
    """Return where the axes of a scan point, in letters: RAS, LPS, ..."""
    return sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(image.GetDirection())


def same_grid(scan: sitk.Image, other: sitk.Image) -> bool:
    """Return whether two scans have the same voxels in the same places."""
    if scan.GetSize() != other.GetSize():
        return False
    corners = [[0, 0, 0], [size - 1 for size in scan.GetSize()], [scan.GetSize()[0] - 1, 0, 0]]
    places = [
        np.subtract(scan.TransformIndexToPhysicalPoint(c), other.TransformIndexToPhysicalPoint(c)) for c in corners
    ]
    return bool(np.abs(places).max() < TOLERANCE)


def grid_of(path: Path) -> sitk.Image:
    """Return an empty image on the grid of a file, of which only the header is read."""
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
    """Read a scan as float32; raise when the file is damaged."""
    check_intact(path)
    return sitk.ReadImage(str(path), sitk.sitkFloat32)
