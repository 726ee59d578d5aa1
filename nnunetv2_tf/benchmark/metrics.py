"""Metrics of a segmentation. In: masks of prediction and truth, (Z, Y, X) bool, and the spacing in mm. Out: numbers.

Conventions of BraTS: Dice of two empty masks is 1, distances to or from an empty mask are 374 mm (the diagonal of its
volumes) and 0 between two. Surfaces are the voxels of a mask with a face towards the outside.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cc3d
import numpy as np
from scipy import ndimage

Spacing = Sequence[float]

WORST_DISTANCE = 374.0  # mm
DILATION = 3  # voxels by which BraTS 2023 joins lesions that nearly touch (adult glioma)
SMALLEST_LESION = 50.0  # mm³; smaller true lesions do not count


@dataclass(frozen=True)
class LesionWise:
    """Lesion-wise metrics of BraTS 2023: means over true lesions and false ones."""

    dice: float
    hd95: float
    missed: int
    false: int


def dice(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Return the Dice coefficient, 0 to 1."""
    both = int(prediction.sum()) + int(truth.sum())
    return 2 * int((prediction & truth).sum()) / both if both else 1.0


def hd95(prediction: np.ndarray, truth: np.ndarray, spacing: Spacing) -> float:
    """Return the larger of the two 95th percentiles of distances from one surface to the other, in mm."""
    distances = surface_distances(prediction, truth, spacing)
    if distances is None:
        return WORST_DISTANCE if prediction.any() or truth.any() else 0.0
    return float(max(np.percentile(one_way, 95) for one_way in distances))


def nsd(prediction: np.ndarray, truth: np.ndarray, spacing: Spacing, tolerance: float = 1.0) -> float:
    """Return the normalised surface distance: the share of both surfaces within `tolerance` mm of the other."""
    distances = surface_distances(prediction, truth, spacing)
    if distances is None:
        return 0.0 if prediction.any() or truth.any() else 1.0
    together = np.concatenate(distances)
    return float((together <= tolerance).mean())


def lesion_wise(prediction: np.ndarray, truth: np.ndarray, spacing: Spacing) -> LesionWise:
    """Return Dice and HD95 by lesion: true ones against all that overlaps them, false ones as 0 and 374 mm."""
    lesions, number = _lesions(truth)
    components = cc3d.connected_components(prediction, connectivity=26)
    scores, matched, missed = [], set(), 0
    for lesion in range(1, number + 1):
        true_lesion = truth & (lesions == lesion)
        hits = set(np.unique(components[lesions == lesion]).tolist()) - {0}
        matched |= hits
        if true_lesion.sum() * float(np.prod(spacing)) <= SMALLEST_LESION:
            continue
        missed += not hits
        overlapping = np.isin(components, list(hits))
        scores.append((dice(overlapping, true_lesion), hd95(overlapping, true_lesion, spacing)))
    false = int(components.max()) - len(matched)
    scores += [(0.0, WORST_DISTANCE)] * false
    if not scores:
        return LesionWise(1.0, 0.0, 0, 0)
    means = np.mean(scores, axis=0)
    return LesionWise(float(means[0]), float(means[1]), missed, false)


def lesions_found(prediction: np.ndarray, truth: np.ndarray, spacing: Spacing) -> list[tuple[float, bool]]:
    """Return the volume in mm³ of each true lesion, and whether the prediction overlaps it; for sensitivity by size."""
    lesions, number = _lesions(truth)
    sizes = np.bincount(lesions[truth], minlength=number + 1) * float(np.prod(spacing))
    hit = np.bincount(lesions[truth & prediction], minlength=number + 1) > 0
    return [(float(sizes[lesion]), bool(hit[lesion])) for lesion in range(1, number + 1)]


def _lesions(truth: np.ndarray) -> tuple[np.ndarray, int]:
    """Return a map of lesions as BraTS counts them, 26-connected components of the dilated mask, and their number."""
    structure = ndimage.generate_binary_structure(3, 2)
    dilated = np.asarray(ndimage.binary_dilation(truth, structure, iterations=DILATION))
    components = cc3d.connected_components(dilated, connectivity=26)
    return components, int(components.max())


def surface_distances(first: np.ndarray, second: np.ndarray, spacing: Spacing) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the distances from each surface voxel of one mask to the other's surface, and back; None without both."""
    if not first.any() or not second.any():
        return None
    box = ndimage.find_objects((first | second).astype(np.uint8))[0]
    first, second = (np.pad(mask[box], 1) for mask in (first, second))
    surfaces = [mask & np.logical_not(ndimage.binary_erosion(mask)) for mask in (first, second)]
    to_first, to_second = (
        np.asarray(ndimage.distance_transform_edt(~surface, sampling=spacing)) for surface in surfaces
    )
    return to_second[surfaces[0]], to_first[surfaces[1]]
