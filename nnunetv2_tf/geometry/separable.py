"""Filters along the axes of a volume, as products with matrices. In: a volume. Out: it blurred, or as spline weights.

A product of matrices is several times as fast as a filter that goes from voxel to voxel, the more so where only a part
of the result is wanted.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from nnunetv2_tf.geometry.boxes import Box, box_from, widened

TRUNCATE = 4.0  # standard deviations at which a Gaussian is cut off
TILE = 64  # voxels along an axis that one product makes
NOTHING = 1e-8  # smaller weights do not count


def smoothed(volume: np.ndarray, sigma: Sequence[float], box: Box | None = None) -> np.ndarray:
    """Return a box of a volume (Z, Y, X) float32, blurred by a Gaussian; volumes go on as their mirror images.

    Args:
        volume: (Z, Y, X)
        sigma: standard deviation in voxels, by axis; 0: none
        box: of the volume; None: all of it
    """
    box = box or box_from((0, 0, 0), volume.shape)
    needed = widened(box, [radius(width) for width in sigma], volume.shape)
    result = np.asarray(volume[needed], np.float32)
    for axis, (width, part, around, size) in enumerate(zip(sigma, box, needed, volume.shape, strict=True)):
        if width:
            result = _along(result, _gaussian(float(width), size, part.start, part.stop)[:, around], axis)
    return result


def spline_weights(volume: np.ndarray) -> np.ndarray:
    """Return (Z, Y, X) float32: the weights of cubic B-splines that meet a volume's values."""
    result = np.asarray(volume, np.float32)
    for axis, size in enumerate(volume.shape):
        result = _along(result, _inverse_spline(size), axis)
    return result


def radius(sigma: float) -> int:
    """Return how many voxels on each side a Gaussian looks at."""
    return int(TRUNCATE * sigma + 0.5)


@lru_cache(maxsize=64)
def _gaussian(sigma: float, size: int, start: int, stop: int) -> np.ndarray:
    """Return (stop - start, size) float32: how much of each voxel each blurred one has."""
    reach = radius(sigma)
    kernel = np.exp(-0.5 / sigma**2 * np.arange(-reach, reach + 1) ** 2)
    kernel /= kernel.sum()
    weights = np.zeros((stop - start, size))
    places = np.arange(start, stop)[:, None] + np.arange(-reach, reach + 1)
    places = places % (2 * size)
    places = np.where(places < size, places, 2 * size - 1 - places)
    np.add.at(weights, (np.arange(stop - start)[:, None], places), kernel)
    return weights.astype(np.float32)


@lru_cache(maxsize=16)
def _inverse_spline(size: int) -> np.ndarray:
    """Return (size, size) float32: the inverse of sampling cubic B-splines, which go on mirrored beyond the ends."""
    if size == 1:
        return np.ones((1, 1), np.float32)
    sampling = (np.diag(np.full(size, 4.0)) + np.eye(size, k=1) + np.eye(size, k=-1)) / 6
    sampling[0, 1] = sampling[-1, -2] = 1 / 3
    return np.linalg.inv(sampling).astype(np.float32)


def _along(volume: np.ndarray, weights: np.ndarray, axis: int) -> np.ndarray:
    """Return the product of weights (N, n) with a volume of n voxels along an axis, tile by tile."""
    shape = list(volume.shape)
    shape[axis] = len(weights)
    result = np.empty(shape, np.float32)
    for start in range(0, len(weights), TILE):
        rows = weights[start : start + TILE]
        used = np.flatnonzero((np.abs(rows) > NOTHING).any(axis=0))
        low, high = used[0], used[-1] + 1
        part, target = rows[:, low:high], slice(start, start + len(rows))
        if axis == 0:
            flat = volume[low:high].reshape(high - low, -1)
            result[target] = (part @ flat).reshape(len(rows), *volume.shape[1:])
        elif axis == 1:
            result[:, target] = part @ volume[:, low:high]
        else:
            result[:, :, target] = volume[:, :, low:high] @ part.T
    return result
