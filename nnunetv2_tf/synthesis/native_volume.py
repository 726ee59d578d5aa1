"""A volume file of which some voxels change and everything else stays as it is: header, type, scale, bytes."""

import gzip
import zlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.orientations import apply_orientation, io_orientation
from nibabel.spatialimages import HeaderDataError

from nnunetv2_tf.dataset.nifti_header import HEADER, check_header, header_in, voxels_end
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import gzip_file, library_file, whole_file

TRAILING = 1 << 20  # bytes after the last voxel that are kept
COMPRESSION = 1  # of gzip; 6 takes four times as long and saves 8 %


class Volume(ABC):
    """One 3D file. `file_voxels` is its voxels as written in the file, turned as nnU-Net's reader turns them."""

    path: Path
    file_voxels: np.ndarray  # (Z, Y, X), writable; native value = slope * file_voxels + intercept
    slope: float = 1.0
    intercept: float = 0.0

    @property
    def dtype(self) -> np.dtype:
        """The type of the file's voxels."""
        return self.file_voxels.dtype

    @property
    def step(self) -> float:
        """The difference between neighbouring native values; 0 for floating point."""
        return abs(self.slope) if np.issubdtype(self.dtype, np.integer) else 0.0

    def to_native(self, file_voxels: np.ndarray) -> np.ndarray:
        """Return native values of file voxels; the very same array when the file has no scale."""
        if (self.slope, self.intercept) == (1.0, 0.0):
            return file_voxels
        return file_voxels * self.slope + self.intercept

    def to_file_values(self, native: np.ndarray) -> np.ndarray:
        """Return native values as file voxels, rounded and limited as the type demands."""
        values = (native - self.intercept) / self.slope
        if not np.issubdtype(self.dtype, np.integer):
            return values.astype(self.dtype)
        limits = np.iinfo(self.dtype)
        return np.clip(np.rint(values), limits.min, limits.max).astype(self.dtype)

    @abstractmethod
    def write(self, path: Path) -> None:
        """Write the file, whole or not at all."""


def read_volume(path: Path, reader: str) -> Volume:
    """Read a file; `reader` is the name of the nnU-Net reader whose axes it shall have."""
    if not path.is_file():
        raise UserError(f"{path} does not exist; put it back.")
    kind = _Nifti if path.name.endswith((".nii", ".nii.gz")) else _Other
    volume = kind(path, reader.endswith("WithReorient"))
    volume.path = path
    if not np.isfinite(volume.file_voxels).all():
        raise UserError(f"{path} holds NaN or infinite values; replace them.")
    return volume


class _Nifti(Volume):
    """The file's bytes with a view into them."""

    def __init__(self, path: Path, reoriented: bool) -> None:
        end = voxels_end(check_header(path))
        try:
            with gzip.open(path) if path.name.endswith(".gz") else open(path, "rb") as file:
                content = bytearray(file.read(end + TRAILING))
            self.header = header_in(bytes(content[:HEADER]), check=True)
            voxels = np.ndarray(
                tuple(self.header.get_data_shape()), self.header.get_data_dtype(), content,
                int(self.header.get_data_offset()), order="F",
            )  # fmt: skip
        except (OSError, EOFError, zlib.error, TypeError, ValueError, HeaderDataError):
            raise UserError(f"{path} cannot be read, it is damaged or cut short; replace it.") from None
        if voxels.ndim != 3:
            raise UserError(f"{path} is {voxels.ndim}-dimensional; write it as one 3D file per channel.")
        self.content = content
        slope, intercept = self.header.get_slope_inter()
        self.slope, self.intercept = float(slope or 1), float(intercept or 0)
        affine = np.asarray(self.header.get_best_affine())
        turned = apply_orientation(voxels, io_orientation(affine)) if reoriented else voxels
        self.file_voxels = turned.transpose(2, 1, 0)

    def write(self, path: Path) -> None:
        with whole_file(path) as temporary:
            if path.name.endswith(".gz"):
                with gzip_file(temporary, COMPRESSION) as file:
                    file.write(self.content)
            else:
                temporary.write_bytes(self.content)


class _Other(Volume):
    """Any format that ITK writes (.nrrd, .mha)."""

    def __init__(self, path: Path, reoriented: bool) -> None:
        import SimpleITK as sitk

        try:
            self.image: Any = sitk.ReadImage(str(path))
        except RuntimeError:
            raise UserError(f"{path} cannot be read, it is damaged; replace it.") from None
        if self.image.GetDimension() != 3:
            raise UserError(f"{path} is {self.image.GetDimension()}-dimensional; write one 3D file per channel.")
        self.voxels = sitk.GetArrayFromImage(self.image)
        affine = np.eye(4)
        direction = np.reshape(self.image.GetDirection(), (3, 3))
        affine[:3, :3] = np.diag([-1, -1, 1]) @ direction  # ITK counts to the patient's left and back
        orientation = io_orientation(affine)
        self.file_voxels = self.voxels
        if reoriented:
            self.file_voxels = apply_orientation(self.voxels.transpose(2, 1, 0), orientation).transpose(2, 1, 0)

    def write(self, path: Path) -> None:
        import SimpleITK as sitk

        image: Any = sitk.GetImageFromArray(self.voxels)
        image.CopyInformation(self.image)
        for key in self.image.GetMetaDataKeys():
            image.SetMetaData(key, self.image.GetMetaData(key))
        with library_file(path, RuntimeError, ending="".join(path.suffixes)) as temporary:
            sitk.WriteImage(image, str(temporary), useCompression=True)
