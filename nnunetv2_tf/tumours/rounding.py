"""Maps without corners and slits. In: a tumour map. Out: one with smooth surfaces, each class as large as before."""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

from nnunetv2_tf.geometry.boxes import box_around
from nnunetv2_tf.geometry.feather import signed_distance

WIDTH = 1.5  # mm, standard deviation
ROUNDS, NEAR = 10, 0.02  # of matching the classes' sizes; how near is near enough
DAMPING = 0.7  # of a round's change, since classes share surfaces
CLOSES = 3.0  # mm on either side of a slit


def closed(tumour: np.ndarray, slits: np.ndarray, diffuse: Sequence[int], spacing: Sequence[float]) -> np.ndarray:
    """Return the map (Z, Y, X), closed over slits by the diffuse class that is nearest.

    Args:
        tumour: (Z, Y, X) classes, 0: none
        slits: (Z, Y, X) bool: what may be closed over
        diffuse: the classes that do
        spacing: mm between voxels
    """
    spreading = np.isin(tumour, diffuse)
    if not (spreading.any() and slits.any()):
        return tumour
    box = box_around(spreading, [int(2 * CLOSES / step) + 2 for step in spacing])
    part = tumour[box]
    near = np.asarray(distance_transform_edt(part == 0, sampling=spacing)) <= CLOSES
    within = np.asarray(distance_transform_edt(near, sampling=spacing)) > CLOSES
    filled = within & slits[box] & (part == 0)
    nearest = np.asarray(
        distance_transform_edt(~spreading[box], sampling=spacing, return_distances=False, return_indices=True)
    )
    result = tumour.copy()
    result[box] = np.where(filled, part[tuple(nearest)], part)
    return result


def rounded(
    tumour: np.ndarray, allowed: np.ndarray, spacing: Sequence[float], as_large_as: np.ndarray | None = None
) -> np.ndarray:
    """Return (Z, Y, X): the map by blurred signed distances, the largest wins; nothing where it is not allowed.

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
    box = box_around(tumour > 0, [int(np.ceil(3 * WIDTH / step)) + 1 for step in spacing])
    part, places = tumour[box], np.flatnonzero(allowed[box])
    model = tumour if as_large_as is None else as_large_as
    wanted = np.array([(model == value).sum() for value in classes])
    sigma = [WIDTH / step for step in spacing]

    def inwards(mask: np.ndarray) -> np.ndarray:
        """Return (n,) mm into a mask at the places, blurred."""
        return -gaussian_filter(signed_distance(mask, spacing), sigma).ravel()[places]

    inside = np.stack([inwards(part == value) for value in classes])
    outside, offset = inwards(part == 0), np.zeros((len(classes), 1))
    radius = (0.75 / np.pi * wanted * np.prod(spacing)) ** (1 / 3)
    for _ in range(ROUNDS):
        level = inside + offset
        chosen = np.argsort(outside - level.max(axis=0), kind="stable")[: wanted.sum()]
        sizes = np.bincount(level[:, chosen].argmax(axis=0), minlength=len(classes))
        if np.abs(sizes / wanted - 1).max() <= NEAR:
            break
        offset[:, 0] += (
            DAMPING * np.clip(1 - sizes / wanted, -1, 1) * radius / 3
        )  # a ball of this volume would fit then
    label, result = np.zeros_like(part), tumour.copy()
    label.ravel()[places[chosen]] = np.array(classes, tumour.dtype)[_apportioned(level[:, chosen], wanted)]
    result[box] = label
    return result


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
