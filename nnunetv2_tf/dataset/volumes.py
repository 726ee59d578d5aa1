"""Image files of scans. In: paths. Out: images, checked for damage; their grids and orientations; NIfTI files."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from nnunetv2_tf.dataset.nifti_header import check_header
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import library_file

SHEAR = 2.0  # degrees that axes may be off right angles
ROUNDING = 1e-3  # degrees that no reader minds
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

    check_header(path)
    try:
        image: Any = nibabel.load(path)  # type: ignore[attr-defined]
        finite = bool(np.isfinite(np.asanyarray(image.dataobj)).all())
    except Exception:  # for damaged files nibabel, gzip and zlib raise exceptions of many kinds
        raise UserError(f"{path} cannot be read, it is damaged or cut short; replace it.") from None
    if not finite:
        raise UserError(f"{path} holds NaN or infinite values; replace them.")
    return image


def straightened(path: Path, image: Any) -> Any:
    """Return a nibabel image that ITK, and so nnU-Net, can read: its axes at right angles.

    Oblique scans are often slightly sheared, by rounding, which ITK refuses. They get the nearest axes that stand at
    right angles, and the middle of the scan stays where it is. All others come back as they are.

    Args:
        path: of the image, for ITK and for the message
        image: as `read_nifti` returns it
    """
    import nibabel

    sizes = np.linalg.norm(image.affine[:3, :3], axis=0)
    axes = image.affine[:3, :3] / sizes
    off = float(np.degrees(np.arcsin(np.abs(axes.T @ axes - np.eye(3)).max())))
    if off < ROUNDING or _itk_reads(path):
        return image
    if off > SHEAR:
        raise UserError(
            f"{path} is sheared: its axes are {off:.1f} degrees off right angles, and nnU-Net cannot read it so; "
            "resample it to a straight grid."
        )
    left, _, right = np.linalg.svd(axes)
    affine, middle = np.eye(4), (np.asarray(image.shape[:3]) - 1) / 2
    affine[:3, :3] = (left @ right) * sizes
    affine[:3, 3] = image.affine[:3, :3] @ middle + image.affine[:3, 3] - affine[:3, :3] @ middle
    upright: Any = nibabel.Nifti1Image(image.dataobj, affine, image.header)  # type: ignore[attr-defined]
    upright.set_qform(affine, 1)
    upright.set_sform(affine, 1)
    return upright


def _itk_reads(path: Path) -> bool:
    """Return whether ITK finds right angles in a file's header, by its second way of telling where voxels lie."""
    try:
        grid_of(path)
    except UserError:
        return False
    return True


def read_image(path: Path) -> sitk.Image:
    """Read a scan, in its own type of values; raise when the file is damaged or sheared."""
    if not path.name.endswith((".nii", ".nii.gz")):
        check_intact(path)
        return _read_by_itk(path)
    image = read_nifti(path)
    upright = straightened(path, image)
    return _read_by_itk(path) if upright is image else _as_itk(upright)


def _read_by_itk(path: Path) -> sitk.Image:
    try:
        return sitk.ReadImage(str(path))
    except RuntimeError:
        raise UserError(f"{path} cannot be read, it is damaged or cut short; replace it.") from None


def _as_itk(image: Any) -> sitk.Image:
    """Return a nibabel image as ITK's, which counts to the patient's left and back."""
    image = image.slicer[..., 0] if image.ndim == 4 and image.shape[3] == 1 else image
    made = sitk.GetImageFromArray(np.ascontiguousarray(np.asanyarray(image.dataobj).T))
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    if made.GetDimension() == 3:
        made.SetSpacing(sizes.tolist())
        made.SetOrigin(affine[:3, 3].tolist())
        made.SetDirection((affine[:3, :3] / sizes).ravel().tolist())
    return made


def voxel_digest(image: Any) -> str:
    """Return a digest of a nibabel image: the same for the same scan, however its file is turned or compressed."""
    import nibabel

    canonical = np.asanyarray(nibabel.as_closest_canonical(image).dataobj)  # type: ignore[attr-defined]
    sha = hashlib.sha256(str(canonical.shape).encode())
    sha.update(np.ascontiguousarray(canonical, dtype=np.float32).tobytes())
    return sha.hexdigest()


def write_nifti(image: Any, path: Path) -> None:
    """Write a SimpleITK image as .nii.gz, whole or not at all."""
    with library_file(path, RuntimeError, ending=".nii.gz") as temporary:
        sitk.WriteImage(image, str(temporary), useCompression=True, compressionLevel=1)


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
    if path.name.endswith((".nii", ".nii.gz")):
        check_header(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        grid = sitk.Image(reader.GetSize(), sitk.sitkUInt8)
        grid.SetSpacing(reader.GetSpacing())
        grid.SetOrigin(reader.GetOrigin())
        grid.SetDirection(reader.GetDirection())
    except RuntimeError:
        raise UserError(f"{path} cannot be read, it is missing, damaged or cut short; replace it.") from None
    return grid


def read_scan(path: Path) -> sitk.Image:
    """Read a scan as float32; raise when the file is damaged."""
    return sitk.Cast(read_image(path), sitk.sitkFloat32)
