"""Grids of preprocessed cases. In: what nnU-Net stores with an array. Out: affines to the scan and to millimetres.

nnU-Net turns a scan into an array by transposing its axes, cropping to what is not 0, and resampling the crop. Here
these steps are two affines; axes are in the order of the plans, (Z, Y, X) after transposing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from nnunetv2.preprocessing.resampling.default_resampling import compute_new_shape

from nnunetv2_tf.io.errors import UserError

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Grid:
    """The grid of a preprocessed case."""

    shape: Shape
    cropped: Shape  # the crop before it was resampled
    start: Shape  # its first voxel in the scan
    native_shape: Shape  # of the scan, axes transposed
    native_spacing: tuple[float, float, float]  # of the scan, as nnU-Net counts it
    native_affine: np.ndarray  # voxel of the scan (transposed axes) to millimetres, 4x4

    @classmethod
    def of(cls, properties: Mapping[str, Any], shape: Sequence[int], transpose_forward: Sequence[int]) -> "Grid":
        """Return the grid of an array of this shape, from the properties that nnU-Net stored beside it."""
        start = [int(low) for low, _ in properties["bbox_used_for_cropping"]]
        affine = _affine_of_reader(properties)
        columns = [2 - axis for axis in transpose_forward]  # readers give (Z, Y, X), affines take (x, y, z)
        z, y, x = (float(properties["spacing"][axis]) for axis in transpose_forward)
        return cls(
            _three(shape),
            _three(properties["shape_after_cropping_and_before_resampling"]),
            _three(start),
            _three(properties["shape_before_cropping"]),
            (z, y, x),
            affine[:, [*columns, 3]],
        )

    @property
    def resampled(self) -> bool:
        """Whether nnU-Net resampled the crop, so that voxels of the array are not voxels of the scan."""
        return self.shape != self.cropped

    def fits(self, spacing: Sequence[float]) -> bool:
        """Return whether the array has the size nnU-Net gives this crop at the plans' spacing (2D plans: in plane)."""
        target = [self.native_spacing[0], *spacing][-3:]
        return self.shape == tuple(compute_new_shape(self.cropped, self.native_spacing, target).tolist())

    @cached_property
    def to_native(self) -> np.ndarray:
        """Affine from voxels of the array to voxels of the scan, 4x4.

        nnU-Net's resampling keeps the outer edges of the crop, not the centres of its outer voxels.
        """
        factor = np.array(self.cropped) / np.array(self.shape)
        return _diagonal(factor, np.array(self.start) + factor / 2 - 0.5)

    @cached_property
    def affine(self) -> np.ndarray:
        """Affine from voxels of the array to millimetres, 4x4."""
        return self.native_affine @ self.to_native

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres between voxels of the array."""
        factor = np.array(self.cropped) / np.array(self.shape)
        z, y, x = (np.array(self.native_spacing) * factor).tolist()
        return z, y, x

    def upright(self, picture: np.ndarray) -> np.ndarray:
        """Return a slice (Y, X) turned so that the front of the body is up, for scans cut across the body."""
        return picture[::-1] if self.affine[1, 1] < 0 else picture


def sideways_axis(grid: np.ndarray) -> int:
    """Return which axis (Z, Y, X) of an array runs from left to right.

    Args:
        grid: 4x4, voxel (Z, Y, X) to mm (x, y, z)
    """
    return int(np.argmax(np.abs(grid[0, :3])))


def _affine_of_reader(properties: Mapping[str, Any]) -> np.ndarray:
    """Return the affine from voxels (x, y, z), as the reader turned them, to mm: x to the left, y to the back, z up."""
    if "sitk_stuff" in properties and len(properties["sitk_stuff"]["spacing"]) == 3:
        geometry = properties["sitk_stuff"]
        affine = np.eye(4)
        affine[:3, :3] = np.reshape(geometry["direction"], (3, 3)) * np.array(geometry["spacing"])
        affine[:3, 3] = geometry["origin"]
        return affine
    if "nibabel_stuff" in properties:
        stuff = properties["nibabel_stuff"]
        affine = np.asarray(stuff.get("reoriented_affine", stuff["original_affine"]), dtype=float)
        return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine  # nibabel's x points to the right, its y to the front
    raise UserError("Synthetic cases are made of volumes with a geometry (.nii.gz, .nrrd, .mha), not of pictures.")


def _diagonal(factor: np.ndarray, offset: np.ndarray) -> np.ndarray:
    matrix = np.diag([*factor, 1.0])
    matrix[:3, 3] = offset
    return matrix


def _three(values: Sequence[int]) -> Shape:
    z, y, x = (int(value) for value in values)
    return z, y, x
