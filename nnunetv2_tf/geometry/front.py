"""Steady diffusion from a core, with uptake. In: the core, a diffusivity by voxel. Out: a concentration.

It diffuses from the core, where there is 1 of it, and is taken up everywhere alike: div(D grad c) = c / length^2.
Surfaces of equal c are round where all is alike, and have fingers where some places are passed more easily.
"""

from collections.abc import Sequence

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import cg

from nnunetv2_tf.geometry.conduction import links

LEAST = 1e-12  # of what the core has: less counts as this
TOLERANCE = 1e-8


def spread_from(core: np.ndarray, passed: np.ndarray, spacing: Sequence[float], length: float) -> np.ndarray:
    """Return (Z, Y, X): c, 1 in the core and 0 where nothing passes.

    Args:
        core: (Z, Y, X) bool
        passed: (Z, Y, X) D, 0 or more; what stands in the core does not matter
        spacing: mm between voxels (Z, Y, X)
        length: mm within which c falls to 1/e of what it was, where D is 1
    """
    conductivity = np.where(core, np.maximum(passed, 1.0), passed)
    neighbours = links(conductivity, spacing)
    known = core[conductivity > 0]
    towards = neighbours[~known]
    system = sparse.diags(np.asarray(towards.sum(axis=1)).ravel() + 1 / length**2)
    found = core.astype(np.float64)
    solution, _ = cg(
        system - towards[:, ~known],
        np.asarray(towards[:, known].sum(axis=1)).ravel(),
        rtol=TOLERANCE,
        maxiter=2000,
        M=sparse.diags(1 / system.diagonal()),
    )
    found[(conductivity > 0) & ~core] = np.clip(solution, LEAST, 1.0)
    return found
