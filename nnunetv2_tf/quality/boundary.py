"""Edges: of tumours, and those that tiles leave (seams). In: images. Out: mean gradients, and a ratio of them."""

from collections.abc import Collection, Sequence

import numpy as np
from scipy.ndimage import binary_dilation, binary_erosion

WITHIN = 1  # voxels on either side of the surface


def boundary_gradient(image: np.ndarray, tumour: np.ndarray, organ: np.ndarray, spacing: Sequence[float]) -> float:
    """Return the mean length of the gradient, per mm, within a voxel of the whole tumour's surface; nan without any.

    Voxels within two voxels of the organ's own edge are left out, since that edge is sharp whatever the tumour.

    Args:
        image: (Z, Y, X)
        tumour: (Z, Y, X) the map
        organ: (Z, Y, X) bool
        spacing: mm by axis
    """
    inside = tumour > 0
    core = np.asarray(binary_erosion(inside, iterations=WITHIN, border_value=1), bool)
    shell = np.asarray(binary_dilation(inside, iterations=WITHIN), bool) & ~core
    shell &= np.asarray(binary_erosion(organ, iterations=2), bool)
    if not shell.any():
        return float("nan")
    steps = [np.gradient(image.astype(np.float64), step, axis=axis) for axis, step in enumerate(spacing)]
    return float(np.sqrt(sum(step[shell] ** 2 for step in steps)).mean())


def seam_ratio(image: np.ndarray, planes: Sequence[Collection[int]], where: np.ndarray) -> float:
    """Return the mean step between neighbours across planes, divided by that elsewhere; 1 where planes do not show.

    Args:
        image: (Z, Y, X)
        planes: by axis, the indices of voxels right behind a plane
        where: (Z, Y, X) bool: the voxels that count
    """
    across, elsewhere = [], []
    for axis, indices in enumerate(planes):
        steps = np.abs(np.diff(image.astype(np.float64), axis=axis))
        for index in range(steps.shape[axis]):
            both = where.take(index, axis) & where.take(index + 1, axis)
            (across if index + 1 in indices else elsewhere).append(steps.take(index, axis)[both])
    return float(np.concatenate(across).mean() / np.concatenate(elsewhere).mean())
