"""Against brute force over all pairs of surface voxels, against SimpleITK and nnU-Net, and at the edges."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.distance import cdist

from nnunetv2_tf.benchmark.metrics import WORST_DISTANCE, dice, hd95, lesion_wise, lesions_found, nsd

SPACING = (3.0, 0.5, 0.8)
EMPTY = np.zeros((12, 14, 13), bool)


def blobs(seed: int, number: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mask = EMPTY.copy()
    for _ in range(number):
        centre = rng.uniform(0, mask.shape)
        mask |= np.linalg.norm(np.indices(mask.shape) - centre[:, None, None, None], axis=0) < rng.uniform(1.5, 4)
    return mask


def surface(mask: np.ndarray) -> np.ndarray:
    """Voxels with a neighbour across a face that is outside, one by one."""
    padded = np.pad(mask, 1)
    found = []
    for z, y, x in np.argwhere(mask):
        steps = [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]
        if not all(padded[z + 1 + a, y + 1 + b, x + 1 + c] for a, b, c in steps):
            found.append((z, y, x))
    return np.array(found) * SPACING


def both_ways(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    distances = cdist(surface(one), surface(other))
    return distances.min(axis=1), distances.min(axis=0)


@pytest.mark.parametrize("seed", range(15))
def test_against_brute_force_and_simpleitk(seed):
    one, other = blobs(seed), blobs(seed + 100)
    there, back = both_ways(one, other)
    assert hd95(one, other, SPACING) == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)))
    close = (there <= 1.2).sum() + (back <= 1.2).sum()
    assert nsd(one, other, SPACING, 1.2) == pytest.approx(close / (len(there) + len(back)))
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(*(sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in (one, other)))
    assert dice(one, other) == pytest.approx(overlap.GetDiceCoefficient())


def test_empty_masks():
    full = blobs(0)
    assert (dice(EMPTY, EMPTY), hd95(EMPTY, EMPTY, SPACING), nsd(EMPTY, EMPTY, SPACING)) == (1, 0, 1)
    for one, other in ((full, EMPTY), (EMPTY, full)):
        assert (dice(one, other), hd95(one, other, SPACING), nsd(one, other, SPACING)) == (0, WORST_DISTANCE, 0)
    assert (dice(full, full), hd95(full, full, SPACING), nsd(full, full, SPACING)) == (1, 0, 1)


def cube(*starts: tuple[int, int, int], size: int = 5, shape=(60, 40, 40)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    for z, y, x in starts:
        mask[z : z + size, y : y + size, x : x + size] = True
    return mask


UNIT = (1.0, 1.0, 1.0)
FAR = (5, 5, 5), (40, 25, 25)


def test_each_true_lesion_counts_alike():
    """One found exactly, one missed: half of everything."""
    result = lesion_wise(cube(FAR[0]), cube(*FAR), UNIT)
    assert (result.dice, result.hd95) == (0.5, WORST_DISTANCE / 2)
    assert (result.missed, result.false) == (1, 0)


def test_false_lesions_count_as_nothing():
    result = lesion_wise(cube(*FAR), cube(FAR[0]), UNIT)
    assert (result.dice, result.hd95, result.false) == (0.5, WORST_DISTANCE / 2, 1)


def test_lesions_that_nearly_touch_are_one():
    near = cube((5, 5, 5), (5, 5, 14))  # four voxels apart: dilated by three on both sides they meet
    apart = cube((5, 5, 5), (5, 5, 18))
    predicted = cube((5, 5, 5))
    assert lesion_wise(predicted, near, UNIT).missed == 0
    assert lesion_wise(predicted, near, UNIT).dice == pytest.approx(2 / 3)
    assert lesion_wise(predicted, apart, UNIT).missed == 1


def test_tiny_true_lesions_do_not_count_nor_does_what_hits_them():
    tiny = cube((5, 5, 5), size=3)
    result = lesion_wise(tiny, tiny, UNIT)
    assert (result.dice, result.hd95, result.false) == (1, 0, 0)
    nothing = np.zeros_like(tiny)
    assert lesion_wise(nothing, tiny, UNIT).missed == 0
    assert lesion_wise(nothing, tiny, (2.0, 2.0, 2.0)).missed == 1  # 216 mm³


def test_nothing_there_and_nothing_predicted():
    nothing = cube()
    assert lesion_wise(nothing, nothing, UNIT).dice == 1
    assert lesion_wise(cube(FAR[0]), nothing, UNIT).dice == 0


def test_sensitivity_by_size():
    found = lesions_found(cube(FAR[0]), cube(*FAR) | cube((20, 5, 30), size=2), UNIT)
    assert sorted(found) == [(8.0, False), (125.0, False), (125.0, True)]
