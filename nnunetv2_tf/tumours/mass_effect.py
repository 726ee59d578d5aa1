"""Mass effect. In: a host with a core in it. Out: how the tissue around it gives way.

Tissue flows away from what grows in it, into what can be pressed: fluid first, then the sulci at the surface, more so
where they are near. The surface itself is still, and little crosses the falx, which ends above the deep structures in
the middle: these shift.
"""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

from nnunetv2_tf.geometry.blocks import Blocks
from nnunetv2_tf.geometry.displacement import Displacement
from nnunetv2_tf.geometry.distances import depth_in
from nnunetv2_tf.geometry.flow import balanced, followed, least_jacobian, velocity

FLOW_GRID = 4.0  # mm
IN_EDEMA = 0.5  # of the push in cores
FLUID, RIM = 6.0, 1.0  # how readily they give way
FADES = 40.0  # mm within which giving way falls to 1/e
FALX, FALX_DEEP = 0.15, 25.0  # of what passes elsewhere; mm from the organ's surface, as far as it reaches
STILL, FREE = 1.5, 4.0  # blocks from the organ's surface: nothing moves; everything moves
SMOOTH = 0.7  # blocks, standard deviation
LEAST_JACOBIAN, WEAKER = 0.1, 0.85  # where tissue were pressed harder the push is weakened, step by step


def mass_effect(
    core: np.ndarray,
    edema: np.ndarray,
    organ: np.ndarray,
    fluid: np.ndarray | None,
    spacing: Sequence[float],
    strength: float,
    middle: np.ndarray | None,
) -> Displacement:
    """Return how a host gives way.

    Args:
        core: (Z, Y, X) bool: where the tumour pushes
        edema: (Z, Y, X) bool: where it pushes less
        organ: (Z, Y, X) bool
        fluid: (Z, Y, X) bool, if known
        spacing: mm between voxels
        strength: what is now in the core had exp(-strength) of its volume before
        middle: mm to the sagittal plane in the middle, by blocks of FLOW_GRID; None: there is no falx
    """
    blocks = Blocks.near(FLOW_GRID, spacing, organ.shape)
    share = {name: blocks.mean(mask) for name, mask in (("core", core), ("edema", edema), ("organ", organ))}
    if min(blocks.shape) < 2:  # too thin to flow in
        return Displacement(np.zeros((3, *blocks.shape), np.float32), blocks, organ)
    inside = share["organ"] > 0.5
    pushing = np.where(inside, strength * (share["core"] + IN_EDEMA * share["edema"]), 0)
    depth = depth_in(inside, blocks.spacing)
    ways = RIM * (inside & (depth <= 1.5 * max(blocks.spacing)))
    if fluid is not None:
        ways = ways + FLUID * blocks.mean(fluid)
    away = np.asarray(distance_transform_edt(pushing == 0, sampling=blocks.spacing))
    rates, _ = balanced(pushing, np.where(inside & (pushing == 0), ways * np.exp(-away / FADES), 0))
    passed = inside.astype(np.float64)
    if middle is not None:
        passed[inside & (middle <= max(blocks.spacing) / 2) & (depth <= FALX_DEEP)] = FALX
    speed = velocity(rates, passed, blocks.spacing)
    step = np.clip((depth / max(blocks.spacing) - STILL) / (FREE - STILL), 0, 1)
    speed = np.stack([gaussian_filter(part, SMOOTH) for part in speed]) * step**2 * (3 - 2 * step)
    while True:
        shift = followed(-speed, blocks.spacing)
        if least_jacobian(shift, blocks.spacing) >= LEAST_JACOBIAN:
            return Displacement(shift.astype(np.float32), blocks, organ)
        speed *= WEAKER
