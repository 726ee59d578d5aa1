"""Where the middle of what is deep in a volume lies. In: an image of an organ with two halves. Out: mm off its middle.

Deep structures are mirrored at planes beside the organ's own middle, and the plane at which both sides agree best is
theirs: in a brain what radiologists call the midline shift.
"""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter

from nnunetv2_tf.geometry.distances import depth_in

DEEP = 25.0  # mm from the surface: what is deep
HALF, SPAN, STEP = 12.0, 12.0, 0.5  # mm: compared on either side; looked for on either side; from plane to plane
SMOOTH, EVERY = 1.5, 2.5  # mm, standard deviation; from one line that is compared to the next
FEWEST = 20  # lines
LEAST_SEEN = 0.3  # of what is compared must be in view
ALIKE, OUT_OF_VIEW = 0.3, -1.0  # correlation of both sides; in its place, where it cannot be told


def middle_shift(
    image: np.ndarray, organ: np.ndarray, left_out: np.ndarray, spacing: Sequence[float], sideways: int
) -> float:
    """Return mm from the organ's middle to that of its deep structures, towards higher indices; nan if unclear.

    Args:
        image: (Z, Y, X)
        organ: (Z, Y, X) bool
        left_out: (Z, Y, X) bool: what has no mirror image, such as a tumour
        spacing: mm between voxels
        sideways: the axis from one half to the other
    """
    lines = deep_middle(organ, spacing, sideways)
    image, organ, left_out, lines = (np.moveaxis(volume, sideways, -1) for volume in (image, organ, left_out, lines))
    steps = [*np.delete(spacing, sideways), spacing[sideways]]
    lines = lines.any(axis=-1) & _grid(lines.shape[:2], steps)
    if lines.sum() < FEWEST:
        return np.nan
    middle = _middle(organ)
    smooth = gaussian_filter(np.where(organ, image, image[organ].mean()), [SMOOTH / step for step in steps])
    values, hidden = smooth[lines], left_out[lines].astype(np.float32)
    away = np.arange(1.0, HALF + 0.1) / steps[2]
    planes = np.arange(-SPAN, SPAN + STEP / 2, STEP)
    found = [_agreement(values, hidden, middle + plane / steps[2], away) for plane in planes]
    best = int(np.argmax(found))
    if not 0 < best < len(planes) - 1 or found[best] < ALIKE:
        return np.nan
    before, here, after = found[best - 1 : best + 2]
    if min(before, after) == OUT_OF_VIEW:
        return np.nan
    return float(planes[best] + STEP / 2 * (before - after) / (before - 2 * here + after))  # top of a parabola


def deep_middle(organ: np.ndarray, spacing: Sequence[float], sideways: int) -> np.ndarray:
    """Return (Z, Y, X) bool: the plane in the middle, as far as it is deep in the organ."""
    if not organ.any():
        return np.zeros(organ.shape, bool)
    depth = depth_in(organ, spacing)
    plane = np.zeros(organ.shape, bool)
    np.moveaxis(plane, sideways, -1)[..., round(_middle(np.moveaxis(organ, sideways, -1)))] = True
    return plane & (depth > DEEP)


def _middle(organ: np.ndarray) -> float:
    """Return the place along the last axis that is halfway through an organ."""
    columns = np.flatnonzero(organ.any(axis=(0, 1)))
    return float(columns[0] + columns[-1]) / 2


def _grid(shape: Sequence[int], spacing: Sequence[float]) -> np.ndarray:
    """Return (Z, Y) bool: lines that are about EVERY mm apart."""
    chosen = np.zeros(tuple(shape), bool)
    chosen[tuple(slice(None, None, max(1, round(EVERY / step))) for step in spacing[:2])] = True
    return chosen


def _agreement(values: np.ndarray, hidden: np.ndarray, plane: float, away: np.ndarray) -> float:
    """Return the correlation of both sides of a plane, along lines; OUT_OF_VIEW where too little of them is seen."""
    (one, no), (other, nor) = ((_at(values, place), _at(hidden, place)) for place in (plane + away, plane - away))
    seen = no + nor < 0.01
    if seen.mean() < LEAST_SEEN or min(one[seen].std(), other[seen].std()) == 0:
        return OUT_OF_VIEW
    return float(np.corrcoef(one[seen], other[seen])[0, 1])


def _at(lines: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return lines (n, X) at places (m,) by linear interpolation."""
    within = np.clip(places, 0, lines.shape[1] - 1)
    first = np.minimum(within.astype(int), lines.shape[1] - 2)
    return lines[:, first] * (1 - (within - first)) + lines[:, first + 1] * (within - first)
