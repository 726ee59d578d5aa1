"""Resampling. In: a volume, and the affine of another grid. Out: the volume on that grid.

Where the other grid is only shifted by whole voxels, values are copied, bit for bit.
"""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import affine_transform

from nnunetv2_tf.geometry.boxes import Box, box_from

NEARLY = 1e-4  # of a voxel: places that differ by less count as the same
REACH = {0: 1, 1: 2, 3: 14}  # by order of the spline: values this many voxels away still count


def resample(volume: np.ndarray, affine: np.ndarray, shape: Sequence[int], order: int, outside: float) -> np.ndarray:
    """Return a volume (Z, Y, X) on a grid of `shape`.

    Args:
        volume: any type; the result has the same, or float32 when values are interpolated
        affine: voxel of the new grid to voxel of the old one, 4x4
        shape: of the new grid
        order: of the spline: 0, 1 or 3
        outside: value beyond the old grid
    """
    shift = _whole_shift(affine)
    if shift is not None:
        return _shifted(volume, shift, shape, outside)
    box = _needed(affine, shape, volume.shape, REACH[order])
    result = np.full(shape, outside, np.float32 if order else volume.dtype)
    if box is None:
        return result
    matrix, offset = affine[:3, :3], (affine[:3, 3] - [part.start for part in box]).tolist()
    scaling = np.allclose(matrix, np.diag(np.diag(matrix)), atol=1e-9)
    source = volume[box].astype(np.float32) if order else volume[box]
    affine_transform(source, np.diag(matrix) if scaling else matrix, offset, output=result, order=order, mode="nearest")
    result[~_inside(affine, shape, volume.shape)] = outside
    return result


def stretched(volume: np.ndarray, affine: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Return a volume (Z, Y, X) float32, interpolated linearly on a grid with the same axes; 0 beyond the old one.

    As `resample` of order 1 does, axis by axis, which is several times as fast where the new grid is much finer.

    Args:
        volume: float32
        affine: voxel of the new grid to voxel of the old one, 4x4, without rotation
        shape: of the new grid
    """
    for axis, (size, old) in enumerate(zip(shape, volume.shape, strict=True)):
        place = affine[axis, axis] * np.arange(size) + affine[axis, 3]
        within = np.clip(place, 0, old - 1)
        first = np.minimum(within.astype(int), max(old - 2, 0))
        weight = np.zeros((old, size), np.float32)
        weight[first, np.arange(size)] = 1 - (within - first)
        weight[np.minimum(first + 1, old - 1), np.arange(size)] += within - first
        weight[:, (place <= -0.5 - NEARLY) | (place >= old - 0.5 + NEARLY)] = 0
        volume = np.moveaxis(np.tensordot(volume, weight, (axis, 0)), -1, axis)
    return np.ascontiguousarray(volume)


def resample_label(label: np.ndarray, affine: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Return a label map on another grid, by linear interpolation; 0 beyond the old grid.

    A voxel of which more than half is labelled gets the class with the largest share. (If background were one of the
    classes to compare, it would win wherever two others meet, and small ones would shrink.)
    """
    if _whole_shift(affine) is not None:
        return resample(label, affine, shape, 0, 0)
    result, strongest, labelled = np.zeros(shape, label.dtype), np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for value in np.unique(label[label != 0]).tolist():
        share = resample((label == value).astype(np.float32), affine, shape, 1, 0.0)
        result[share > strongest] = value
        np.maximum(strongest, share, out=strongest)
        labelled += share
    result[labelled <= 0.5] = 0
    return result


def _whole_shift(affine: np.ndarray) -> np.ndarray | None:
    """Return by how many whole voxels an affine shifts; None where it does anything else."""
    shift = np.rint(affine[:3, 3])
    same = np.eye(4)
    same[:3, 3] = shift
    return shift.astype(int) if np.allclose(affine, same, atol=NEARLY, rtol=0) else None


def _shifted(volume: np.ndarray, shift: np.ndarray, shape: Sequence[int], outside: float) -> np.ndarray:
    result = np.full(shape, outside, volume.dtype)
    low = np.maximum(0, -shift)
    high = np.minimum(shape, np.array(volume.shape) - shift)
    if (low < high).all():
        result[box_from(low, high)] = volume[box_from(low + shift, high + shift)]
    return result


def _needed(affine: np.ndarray, shape: Sequence[int], old: Sequence[int], reach: int) -> Box | None:
    """Return the box of the old grid that values on the new grid depend on; None where it is empty."""
    corners = np.array(np.meshgrid(*([-0.5, size - 0.5] for size in shape), indexing="ij")).reshape(3, -1)
    places = affine[:3, :3] @ corners + affine[:3, 3:]
    low = np.maximum(0, np.floor(places.min(axis=1)).astype(int) - reach)
    high = np.minimum(old, np.ceil(places.max(axis=1)).astype(int) + reach + 1)
    if (low >= high).any():
        return None
    return box_from(low, high)


def _inside(affine: np.ndarray, shape: Sequence[int], old: Sequence[int]) -> np.ndarray:
    """Return which voxels of the new grid have their centre within a voxel of the old one."""
    axes = [np.arange(size, dtype=np.float64) for size in shape]
    inside = np.ones(tuple(shape), bool)
    for row, size in zip(affine[:3], old, strict=True):
        place = row[3] + row[0] * axes[0][:, None, None] + row[1] * axes[1][:, None] + row[2] * axes[2]
        inside &= (place > -0.5 - NEARLY) & (place < size - 0.5 + NEARLY)
    return inside
