"""Diffusion operators on voxels. In: a conductivity by voxel. Out: weights between neighbours, a sparse matrix."""

from collections.abc import Sequence

import numpy as np
from scipy import sparse


def face_conductivity(conductivity: np.ndarray, axis: int) -> np.ndarray:
    """Return conductivities of the faces between neighbours along an axis: harmonic means, 0 beside a closed voxel."""
    size = conductivity.shape[axis]
    before, after = conductivity.take(range(size - 1), axis), conductivity.take(range(1, size), axis)
    return 2 * before * after / np.maximum(before + after, 1e-12)


def links(conductivity: np.ndarray, spacing: Sequence[float]) -> sparse.csr_matrix:
    """Return (n, n): conductivity / spacing^2 between neighbours, of the n voxels that are not closed, in their order.

    With L = diag(sum of rows) - links, L u is -div(conductivity grad(u)) without flux through the surface.

    Args:
        conductivity: (Z, Y, X) 0 or more; 0: closed
        spacing: mm between voxels (Z, Y, X)
    """
    open_ = conductivity > 0
    number = np.full(open_.shape, -1)
    number[open_] = np.arange(open_.sum())
    rows, columns, values = [], [], []
    for axis, size in enumerate(conductivity.shape):
        face = face_conductivity(conductivity, axis)
        passed = face > 0
        rows.append(number.take(range(size - 1), axis)[passed])
        columns.append(number.take(range(1, size), axis)[passed])
        values.append(face[passed] / spacing[axis] ** 2)
    first, second, weight = (np.concatenate(parts) for parts in (rows, columns, values))
    one_way = sparse.coo_matrix((weight, (first, second)), (int(open_.sum()),) * 2).tocsr()
    return (one_way + one_way.T).tocsr()
