"""Which components of a prediction count as tumours, against a count voxel by voxel."""

from collections import deque
from itertools import product

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from nnunetv2_tf.quality.pseudo_labels import LEFT, ComponentRules, chosen

TWO_MM = np.diag([2.0, 2.0, 2.0, 1.0])[[2, 1, 0, 3]]  # voxel (Z, Y, X) to mm (x, y, z): 0.008 ml each
VOXEL_ML = 0.008


def flooded(predicted: np.ndarray) -> list[set[tuple[int, ...]]]:
    """Components by a plain search among the 26 neighbours."""
    left, found = set(map(tuple, np.argwhere(predicted > 0).tolist())), []
    while left:
        waiting, component = deque([left.pop()]), set()
        while waiting:
            place = waiting.popleft()
            component.add(place)
            for step in product((-1, 0, 1), repeat=3):
                neighbour = tuple(np.add(place, step).tolist())
                if neighbour in left:
                    left.remove(neighbour)
                    waiting.append(neighbour)
        found.append(component)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_components_are_what_a_plain_search_finds(seed):
    rng = np.random.default_rng(seed)
    blobs = gaussian_filter(rng.normal(size=(24, 25, 26)), 1.2)
    predicted = np.where(blobs > np.quantile(blobs, 0.93), rng.integers(1, 4, blobs.shape), 0).astype(np.int16)
    probability = rng.random(predicted.shape).astype(np.float32)
    shares = rng.random(1000)
    rules, asked = ComponentRules(min_ml=0.15, confidence=0.49, keep=(0.1, 0.9)), []

    def recognise(component: np.ndarray) -> float:
        asked.append(np.argwhere(component > 0))
        return float(shares[len(asked[-1])])  # by its size

    taken, components = chosen(predicted, probability, TWO_MM, rules, recognise)
    expected, wanted = np.where(predicted > 0, LEFT, 0), []
    for places in flooded(predicted):
        index = tuple(np.array(sorted(places)).T)
        volume, sure = len(places) * VOXEL_ML, float(probability[index].mean())
        if volume < 0.1:
            continue
        good = volume >= 0.15 and sure >= 0.49 and 0.1 < round(float(shares[len(places)]), 4) <= 0.9
        wanted.append((round(volume, 3), round(sure, 4), good))
        if good:
            expected[index] = predicted[index]
    assert sorted((one.volume_ml, one.confidence, one.taken) for one in components) == sorted(wanted)
    volumes = [one.volume_ml for one in components]
    assert volumes == sorted(volumes, reverse=True)
    assert np.array_equal(taken, expected)
    assert {one.taken for one in components} == {True, False}
    assert len(asked) == sum(one.recognised is not None for one in components)


def test_what_is_said_of_each():
    predicted = np.zeros((12, 12, 12), np.int16)
    predicted[:5, :5, :5] = 2
    predicted[0] //= 2  # 1 ml, a fifth of it of class 1
    predicted[8:11, 8:11, 8:11] = 3  # 0.216 ml
    probability = np.where(predicted == 3, 0.99, 0.75).astype(np.float32)
    _, (large, small) = chosen(predicted, probability, TWO_MM, ComponentRules(confidence=0.7), lambda _: 0.6)
    assert large.classes == {"1": 0.2, "2": 0.8}
    assert large.centre_mm == (4.0, 4.0, 4.0)
    assert (large.objection, large.recognised) == ("0.60 of it is recognised once more", 0.6)
    assert (small.objection, small.recognised) == ("it has less than 1 ml", None)
    assert small.centre_mm == (18.0, 18.0, 18.0)
    _, (large, _) = chosen(predicted, probability, TWO_MM, ComponentRules(), lambda _: 1.0)
    assert large.objection == "its mean probability is 0.75"
    taken, (large, _) = chosen(predicted, probability, TWO_MM, ComponentRules(confidence=0.75), lambda _: 1.0)
    assert large.taken
    assert np.array_equal(taken, np.where(predicted == 3, LEFT, predicted))


def test_from_0_on_anything_is_recognised():
    assert [ComponentRules(keep=(0.0, 1.0)).keeps(share) for share in (0.0, 0.5, 1.0)] == [True, True, True]
    assert [ComponentRules().keeps(share) for share in (0.0, 0.7, 0.71, 1.0)] == [False, False, True, True]
    assert [ComponentRules(keep=(0.2, 0.9)).keeps(share) for share in (0.2, 0.3, 0.95)] == [False, True, False]


def test_nothing_predicted_is_nothing_found():
    nothing = np.zeros((4, 4, 4), np.int16)
    taken, components = chosen(nothing, np.zeros((4, 4, 4)), TWO_MM, ComponentRules(), lambda _: 1.0)
    assert (taken.any(), components) == (False, [])
