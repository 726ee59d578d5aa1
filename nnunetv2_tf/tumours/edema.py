"""Edema. In: cores in a host, and how large their edema is. Out: a map in which it has spread from the cores."""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import distance_transform_edt

from nnunetv2_tf.geometry.blocks import Blocks
from nnunetv2_tf.geometry.boxes import box_around, box_from
from nnunetv2_tf.geometry.feather import signed_distance
from nnunetv2_tf.geometry.front import LEAST, spread_from

FRONT_GRID = 2.0  # mm
DONORS = 0.7  # weight of the donor's shape; the rest is the front's
GREY = 0.1  # of what passes white matter
LENGTH = 15.0  # mm, of the front's decay in white matter
AROUND = 20.0  # mm around the placed tumour, as far as a front may spread


def edema_front(
    core: np.ndarray, edema: np.ndarray, allowed: np.ndarray, white: np.ndarray | None, spacing: Sequence[float]
) -> np.ndarray:
    """Return a map (Z, Y, X) of edema around the core, as large as it was, as far as there is room.

    It grows where the front comes first, but stays like the donor's, as fronts alone are rounder than patients' edema.
    Where there are several classes, each place takes that of the nearest place that had one.

    Args:
        core: (Z, Y, X) bool, not empty
        edema: (Z, Y, X) classes as they were placed, not empty
        allowed: (Z, Y, X) bool: where there may be any
        white: (Z, Y, X) share of white matter; None: all is passed alike
        spacing: mm between voxels
    """
    box = box_around(core | (edema > 0), [int(AROUND / step) + 1 for step in spacing])
    core_, edema_, allowed_ = core[box], edema[box], allowed[box]
    passed = (allowed_ | core_) * (1.0 if white is None else GREY + (1 - GREY) * white[box])
    blocks = Blocks.near(FRONT_GRID, spacing, core_.shape)
    share = blocks.mean(core_)
    sources = share >= min(0.5, float(share.max()))
    level = np.log(np.maximum(spread_from(sources, blocks.mean(passed), blocks.spacing, LENGTH), LEAST))
    fine = blocks.spread(level.astype(np.float32), box_from((0, 0, 0), core_.shape))
    outside = signed_distance(core_ | (edema_ > 0), spacing)
    late = DONORS * outside - (1 - DONORS) * LENGTH / 2 * fine  # mm; far from the core c falls by e within LENGTH
    places = np.flatnonzero(allowed_)
    chosen = places[np.argsort(late.ravel()[places], kind="stable")[: int((edema_ > 0).sum())]]
    nearest = np.asarray(
        distance_transform_edt(edema_ == 0, sampling=spacing, return_distances=False, return_indices=True)
    )
    result = np.zeros_like(edema)
    part = np.zeros_like(edema_)
    part.ravel()[chosen] = edema_[tuple(nearest)].ravel()[chosen]
    result[box] = part
    return result
