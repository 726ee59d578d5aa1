"""Potential flow, and the displacement it leads to. In: sources, sinks and a conductivity. Out: where points move.

Tissue flows through its own body as through a porous one: velocity v = k grad(phi) with div v = sources - sinks, and
nothing through the surface. Followed for one unit of time, such a flow cannot fold.
"""

from collections.abc import Sequence

import numpy as np
from scipy import sparse
from scipy.ndimage import map_coordinates
from scipy.sparse.linalg import cg

from nnunetv2_tf.geometry.conduction import face_conductivity, links

TOLERANCE = 1e-5  # of the equations' right side
STEP = 0.25  # voxels that a point may move in one step
LARGEST_SINK = 1.2  # in a unit of time nothing shrinks to less than exp(-1.2), 30 %


def balanced(source: np.ndarray, gives_way: np.ndarray) -> tuple[np.ndarray, float]:
    """Return rates whose sum is 0: the source, and sinks in proportion to what gives way; and the share of the source.

    No sink is larger than LARGEST_SINK; where all together cannot take in the source, it is made smaller.

    Args:
        source: (Z, Y, X) 0 or more
        gives_way: (Z, Y, X) 0 or more, 0 where the source is
    """
    wanted, weights = float(source.sum()), np.sort(gives_way[gives_way > 0].astype(np.float64))
    most = LARGEST_SINK * len(weights)
    if wanted <= 0 or most <= 0:
        return np.zeros(source.shape), 0.0
    share = min(1.0, most / wanted)
    # with the n largest sinks at their limit, the others share what is left in proportion to their weights
    below = np.cumsum(weights)
    scale = (share * wanted - LARGEST_SINK * (len(weights) - 1 - np.arange(len(weights)))) / below
    fitting = np.flatnonzero((scale * weights <= LARGEST_SINK * (1 + 1e-9)) & (scale >= 0))
    factor = float(scale[fitting[-1]]) if len(fitting) else LARGEST_SINK / float(weights[0])
    return share * source - np.minimum(factor * gives_way, LARGEST_SINK), share


def velocity(rates: np.ndarray, conductivity: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Return (3, Z, Y, X): the velocity in mm per unit of time that rates make, 0 where nothing can flow.

    Args:
        rates: (Z, Y, X) divergence of the velocity; in all that hangs together its sum is 0, else it is levelled
        conductivity: (Z, Y, X) how easily tissue moves; 0: not at all
        spacing: mm between voxels (Z, Y, X)
    """
    potential = _potential(rates, conductivity, spacing)
    speed = np.zeros((3, *conductivity.shape))
    for axis in range(3):
        between = face_conductivity(conductivity, axis) * np.diff(potential, axis=axis) / spacing[axis]
        for side in ((1, 0), (0, 1)):
            speed[axis] += np.pad(between, [side if axis == other else (0, 0) for other in range(3)]) / 2
    return speed * (conductivity > 0)


def followed(speed: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Return (3, Z, Y, X) mm: the displacement that a stationary velocity field comes to, its exponential.

    Doubled steps (scaling and squaring): the first is so short that it cannot fold.

    Args:
        speed: (3, Z, Y, X) mm per unit of time
        spacing: mm between voxels (Z, Y, X)
    """
    steps = np.reshape(spacing, (3, 1, 1, 1))
    longest = float(np.abs(speed / steps).max())
    doublings = max(0, int(np.ceil(np.log2(max(longest, 1e-9) / STEP))))
    moved = speed / steps / 2**doublings
    grid = np.indices(speed.shape[1:], dtype=np.float64)
    for _ in range(doublings):
        there = grid + moved
        moved = moved + np.stack([map_coordinates(part, there, order=1, mode="nearest") for part in moved])
    return moved * steps


def least_jacobian(displacement: np.ndarray, spacing: Sequence[float]) -> float:
    """Return the least determinant of x -> x + displacement(x), by differences towards each voxel's neighbours.

    Args:
        displacement: (3, Z, Y, X) in mm
        spacing: mm between voxels (Z, Y, X)
    """
    least, sizes = np.inf, displacement.shape[1:]
    for corner in np.ndindex(2, 2, 2):  # of each cell between voxels: there three edges meet
        here = [slice(first, size - 1 + first) for first, size in zip(corner, sizes, strict=True)]
        edges = []
        for axis in range(3):
            ends = [[*here[:axis], part, *here[axis + 1 :]] for part in (slice(1, None), slice(0, -1))]
            ahead, behind = (displacement[(slice(None), *end)] for end in ends)
            slope = (ahead - behind) / spacing[axis]
            slope[axis] += 1
            edges.append(slope)
        (a, b, c), (d, e, f), (g, h, i) = edges
        least = min(least, float((a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)).min()))
    return least


def _potential(rates: np.ndarray, conductivity: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Solve div(k grad(phi)) = rates by conjugate gradients, with Jacobi's preconditioner."""
    neighbours = links(conductivity, spacing)
    count, piece = sparse.csgraph.connected_components(neighbours, directed=False)
    inside = conductivity > 0
    target = rates[inside].astype(np.float64)
    target -= (np.bincount(piece, target, count) / np.bincount(piece, minlength=count))[piece]
    diagonal = np.asarray(neighbours.sum(axis=1)).ravel()
    diagonal[diagonal == 0] = 1.0  # a voxel without neighbours
    system = sparse.diags(diagonal) - neighbours
    found, _ = cg(system, -target, rtol=TOLERANCE, maxiter=2000, M=sparse.diags(1 / diagonal))
    potential = np.zeros(inside.shape)
    potential[inside] = found
    return potential
