"""How sharp the edge of a tumour is. In: an image and a tumour map. Out: the mean gradient across its surface."""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import binary_dilation, binary_erosion

WITHIN = 1  # voxels from the surface


def boundary_gradient(image: np.ndarray, tumour: np.ndarray, organ: np.ndarray, spacing: Sequence[float]) -> float:
    """Mean length of the gradient, per mm, within a voxel of the whole tumour's surface; nan where there is none.

    Left out is what lies within two voxels of the organ's own edge, which is a sharp one whatever the tumour.

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
