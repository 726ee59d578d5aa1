"""Maps without corners and slits. In: a tumour map. Out: one with smooth surfaces, each class as large as before."""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import distance_transform_edt

from nnunetv2_tf.geometry.boxes import box_around
from nnunetv2_tf.geometry.separable import TRUNCATE, smoothed
from nnunetv2_tf.working_space.blurring import blur

WIDTH = 1.5  # mm, standard deviation
SLIT = 3.0  # mm, standard deviation: slits up to about so wide are closed
ROUNDS, NEAR = 10, 0.02  # of matching the classes' sizes; how near is near enough
DAMPING = 0.7  # of a round's change, since classes share surfaces
SLOPE = 1 / (np.sqrt(2 * np.pi) * WIDTH)  # per mm, of a blurred mask at its surface


def closed(
    tumour: np.ndarray, organ: np.ndarray, slits: np.ndarray, diffuse: Sequence[int], spacing: Sequence[float]
) -> np.ndarray:
    """Return the map (Z, Y, X), closed over slits that have more of it around them than not.

    Args:
        tumour: (Z, Y, X) classes, 0: none
        organ: (Z, Y, X) bool
        slits: (Z, Y, X) bool: what may be closed over
        diffuse: the classes that do so, the nearest one
        spacing: mm between voxels
    """
    spreading = np.isin(tumour, diffuse)
    if not (spreading.any() and slits.any()):
        return tumour
    around = blur((tumour > 0).astype(np.float32)[None], organ, [SLIT / step for step in spacing])[0]
    filled = slits & organ & (tumour == 0) & (around > 0.5)
    if not filled.any():
        return tumour
    result, classes = tumour.copy(), np.unique(tumour[spreading])
    result[filled] = classes[0] if len(classes) == 1 else _nearest(tumour, spreading, spacing)[filled]
    return result


def _nearest(tumour: np.ndarray, where: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Return (Z, Y, X): what the nearest voxel of a mask has."""
    found = distance_transform_edt(~where, sampling=spacing, return_distances=False, return_indices=True)
    return tumour[tuple(np.asarray(found))]


def rounded(
    tumour: np.ndarray, allowed: np.ndarray, spacing: Sequence[float], as_large_as: np.ndarray | None = None
) -> np.ndarray:
    """Return (Z, Y, X): the map by its classes' blurred masks, the largest wins; nothing where it is not allowed.

    Each class has as many voxels as before, or fewer where there is no room.

    Args:
        tumour: (Z, Y, X) classes, 0: none
        allowed: (Z, Y, X) bool: where there may be any
        spacing: mm between voxels
        as_large_as: (Z, Y, X) the map whose classes' sizes are met; None: the tumour's own
    """
    classes = [int(value) for value in np.unique(tumour[tumour > 0])]
    if not classes:
        return tumour
    sigma = [WIDTH / step for step in spacing]
    box = box_around(tumour > 0, [int(np.ceil(TRUNCATE * width)) + 1 for width in sigma])
    part, places = tumour[box], np.flatnonzero(allowed[box])
    model = tumour if as_large_as is None else as_large_as
    wanted = np.array([(model == value).sum() for value in classes])
    masks = ((part == value).astype(np.float32) for value in classes)
    share = np.stack([smoothed(mask, sigma).ravel()[places] for mask in masks])
    outside, offset = 1 - share.sum(axis=0), np.zeros((len(classes), 1), np.float32)
    radius = (0.75 / np.pi * wanted * np.prod(spacing)) ** (1 / 3)
    for _ in range(ROUNDS):
        level = share + offset
        chosen = _lowest(outside - level.max(axis=0), int(wanted.sum()))
        sizes = np.bincount(level[:, chosen].argmax(axis=0), minlength=len(classes))
        if np.abs(sizes / wanted - 1).max() <= NEAR:
            break
        change = np.clip(1 - sizes / wanted, -1, 1) * radius / 3  # mm: a ball of this volume would fit then
        offset[:, 0] += DAMPING * SLOPE * change
    label, result = np.zeros_like(part), tumour.copy()
    label.ravel()[places[chosen]] = np.array(classes, tumour.dtype)[_apportioned(level[:, chosen], wanted)]
    result[box] = label
    return result


def _lowest(values: np.ndarray, count: int) -> np.ndarray:
    """Return where the lowest values are, so many or all, in order of place."""
    if count >= len(values):
        return np.arange(len(values))
    limit = np.partition(values, count)[count]
    below, at = np.flatnonzero(values < limit), np.flatnonzero(values == limit)
    return np.sort(np.concatenate([below, at[: count - len(below)]]))


def _apportioned(level: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return (n,) classes 0 to K - 1: the highest level, but for those who lose least by making sizes as wanted.

    Args:
        level: (K, n)
        wanted: (K,) sizes; n in all, or more, which are made smaller alike
    """
    if wanted.sum() > level.shape[1]:
        wanted = np.maximum(wanted * level.shape[1] // wanted.sum(), 1)
        wanted[wanted.argmax()] += level.shape[1] - wanted.sum()
    found = level.argmax(axis=0)
    surplus = np.bincount(found, minlength=len(wanted)) - wanted
    while surplus.any():
        largest, least = int(surplus.argmax()), int(surplus.argmin())
        count = min(surplus[largest], -surplus[least])
        members = np.flatnonzero(found == largest)
        loss = level[largest, members] - level[least, members]
        found[members[np.argsort(loss, kind="stable")[:count]]] = least
        surplus[largest] -= count
        surplus[least] += count
    return found
