"""Membranes over regions. In: values beside a region. Out: values in it that meet those, and fade inwards.

The screened Poisson equation, div(grad m) = m / length^2, with the values given at the voxels beside the region, and no
flux through its surface where none is given. A paste that m is added to meets what is around it.
"""

from collections.abc import Sequence

import numpy as np
from scipy import sparse
from scipy.ndimage import binary_dilation
from scipy.sparse.linalg import cg

from nnunetv2_tf.geometry.boxes import box_around
from nnunetv2_tf.geometry.conduction import links

EXACT = 1e-6  # of the right side, what is left of it


def membrane(
    values: np.ndarray, region: np.ndarray, known: np.ndarray, spacing: Sequence[float], length: float
) -> np.ndarray:
    """Return (C, Z, Y, X) float32: m in the region, 0 elsewhere.

    Args:
        values: (C, Z, Y, X); only those that are known and beside the region count
        region: (Z, Y, X) bool
        known: (Z, Y, X) bool: where values are known
        spacing: mm between voxels (Z, Y, X)
        length: mm over which m falls by a factor of e, far from curved borders
    """
    result = np.zeros(values.shape, np.float32)
    if not region.any():
        return result
    box = box_around(region, [1, 1, 1])
    inside = region[box]
    beside = np.asarray(binary_dilation(inside)) & ~inside & known[box]
    weights = links((inside | beside).astype(float), spacing)
    unknown = inside[inside | beside]
    total = np.asarray(weights.sum(axis=1)).ravel()[unknown]
    matrix = sparse.diags(total + 1 / length**2) - weights[unknown][:, unknown]
    from_beside, inverse = weights[unknown][:, ~unknown], sparse.diags(1 / matrix.diagonal())
    for channel, target in zip(values, result, strict=True):
        right = from_beside @ channel[box][beside].astype(float)
        solved, failed = cg(matrix, right, rtol=EXACT, M=inverse)
        assert not failed  # the matrix is positive definite
        target[box][inside] = solved
    return result
