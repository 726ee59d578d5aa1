"""Membranes against a plain system of equations, and against the solution in one dimension."""

import numpy as np
import pytest

from nnunetv2_tf.geometry.membrane import membrane

SPACINGS = [(1.0, 1.0, 1.0), (3.0, 0.7, 1.2)]


def plainly(values: np.ndarray, region: np.ndarray, known: np.ndarray, spacing, length: float) -> np.ndarray:
    """One channel, an equation per voxel of the region, neighbour by neighbour."""
    places = [tuple(place) for place in np.argwhere(region)]
    matrix, right = np.zeros((len(places), len(places))), np.zeros(len(places))
    for row, place in enumerate(places):
        matrix[row, row] += 1 / length**2
        for axis in range(3):
            for step in (-1, 1):
                there = list(place)
                there[axis] += step
                if not 0 <= there[axis] < region.shape[axis]:
                    continue
                weight, there = 1 / spacing[axis] ** 2, tuple(there)
                if region[there]:
                    matrix[row, row] += weight
                    matrix[row, places.index(there)] -= weight
                elif known[there]:
                    matrix[row, row] += weight
                    right[row] += weight * values[there]
    result = np.zeros(region.shape)
    result[region] = np.linalg.solve(matrix, right)
    return result


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("seed", range(5))
def test_against_an_equation_per_voxel(seed, spacing):
    rng = np.random.default_rng(seed)
    region = np.linalg.norm(np.indices((9, 8, 7)) - rng.uniform(2, 6, 3)[:, None, None, None], axis=0) < 3
    region |= rng.random(region.shape) < 0.02
    known, values = rng.random(region.shape) < 0.7, rng.normal(size=(2, *region.shape))
    found = membrane(values, region, known, spacing, 2.5)
    expected = [plainly(channel, region, known, spacing, 2.5) for channel in values]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_between_two_walls_it_is_a_hyperbolic_cosine():
    length, half = 4.0, 10
    values, region = np.zeros((1, 1, 1, 2 * half + 1)), np.ones((1, 1, 2 * half + 1), bool)
    region[..., [0, -1]] = False
    values[..., [0, -1]] = 2.0
    x = np.arange(-half, half + 1)
    expected = 2 * np.cosh(x / length) / np.cosh(half / length)
    found = membrane(values, region, ~region, (1.0, 1.0, 1.0), length)
    np.testing.assert_allclose(found[0, 0, 0, 1:-1], expected[1:-1], rtol=0.02)


def test_it_stays_within_the_values_beside_and_needs_some():
    rng = np.random.default_rng(0)
    region, values = np.zeros((8, 8, 8), bool), rng.uniform(1, 2, (1, 8, 8, 8))
    region[2:6, 2:6, 2:6] = True
    found = membrane(values, region, ~region, (1.0, 1.0, 1.0), 3.0)
    assert 0 < found[0][region].min() <= found[0][region].max() < 2
    assert not found[0][~region].any()
    assert not membrane(values, region, np.zeros_like(region), (1.0, 1.0, 1.0), 3.0).any()
    assert not membrane(values, np.zeros_like(region), region, (1.0, 1.0, 1.0), 3.0).any()
