"""Maps without corners. In: a tumour map. Out: the same with smooth surfaces, each class as large as before."""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter

from nnunetv2_tf.geometry.boxes import box_around
from nnunetv2_tf.geometry.feather import signed_distance

WIDTH = 1.5  # mm, standard deviation
ROUNDS, NEAR = 30, 0.02  # of matching the classes' sizes; how near is near enough
DAMPING = 0.7  # of a round's change, since classes share surfaces


def rounded(tumour: np.ndarray, allowed: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Return (Z, Y, X): the map by blurred signed distances, the largest wins; nothing where it is not allowed.

    A map of which a class would vanish stays as it is.

    Args:
        tumour: (Z, Y, X) classes, 0: none
        allowed: (Z, Y, X) bool: where there may be any
        spacing: mm between voxels
    """
    classes = [int(value) for value in np.unique(tumour[tumour > 0])]
    if not classes:
        return tumour
    box = box_around(tumour > 0, [int(np.ceil(3 * WIDTH / step)) + 1 for step in spacing])
    part, allowed_ = tumour[box], allowed[box]
    sigma = [WIDTH / step for step in spacing]
    levels = np.stack([-gaussian_filter(signed_distance(part == value, spacing), sigma) for value in [0, *classes]])
    wanted = np.array([(part == value).sum() for value in classes])
    radius = (0.75 / np.pi * wanted * np.prod(spacing)) ** (1 / 3)
    offset = np.zeros(len(levels))
    label, best = part, np.inf
    for _ in range(ROUNDS):
        found = (levels + offset[:, None, None, None]).argmax(axis=0) * allowed_
        sizes = np.bincount(found.ravel(), minlength=len(levels))[1:]
        off = float(np.abs(sizes / wanted - 1).max())
        if off < best and sizes.all():
            label, best = np.array([0, *classes], tumour.dtype)[found], off
        if off <= NEAR:
            break
        offset[1:] += DAMPING * np.clip(1 - sizes / wanted, -1, 1) * radius / 3  # a ball of this volume would fit then
    result = tumour.copy()
    result[box] = label
    return result
