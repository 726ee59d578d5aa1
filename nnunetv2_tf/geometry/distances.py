"""Distances to a mask, as far as they matter. In: a mask, voxel sizes, a limit. Out: millimetres to the mask."""

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

FEW = 8  # voxels within the limit along the finest axis: up to here shifting the volume is faster


def distance_within(mask: np.ndarray, spacing: Sequence[float], limit: float) -> np.ndarray:
    """Return (Z, Y, X) float32: the distance in mm to a mask of bool; 0 in it, and at most the limit."""
    if limit <= 0 or not mask.any():
        return np.where(mask, np.float32(0), np.float32(limit))
    squared = _shifted(mask, spacing, limit) if limit / min(spacing) <= FEW else _transformed(mask, spacing)
    return np.sqrt(np.minimum(squared, np.float32(limit**2)))


def depth_in(mask: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Return (Z, Y, X) float32: how deep in a mask of bool a voxel lies, in mm; beyond the volume nothing is in it."""
    return np.sqrt(_transformed(np.pad(~mask, 1, constant_values=True), spacing)[1:-1, 1:-1, 1:-1])


def _shifted(mask: np.ndarray, spacing: Sequence[float], limit: float) -> np.ndarray:
    """Return squared distances; axis by axis the least of what neighbours along it have, and the way to them."""
    squared = np.where(mask, np.float32(0), np.float32(limit**2))
    for axis, step in enumerate(spacing):
        nearest = squared.copy()
        for count in range(1, min(int(limit / step), mask.shape[axis] - 1) + 1):
            first = (slice(None),) * axis
            ahead, behind = (*first, slice(count, None)), (*first, slice(None, -count))
            way = np.float32((count * step) ** 2)
            np.minimum(nearest[ahead], squared[behind] + way, out=nearest[ahead])
            np.minimum(nearest[behind], squared[ahead] + way, out=nearest[behind])
        squared = nearest
    return squared


def _transformed(mask: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    image = sitk.GetImageFromArray(mask.view(np.uint8))
    image.SetSpacing([float(step) for step in spacing[::-1]])
    distances = sitk.SignedMaurerDistanceMapImageFilter()
    distances.SetNumberOfThreads(1)  # workers share the cores
    distances.SetSquaredDistance(True)
    distances.SetUseImageSpacing(True)
    return np.maximum(sitk.GetArrayFromImage(distances.Execute(image)), 0)
