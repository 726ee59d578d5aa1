"""Flow out of what grows: rates in balance, the velocity they make, and displacements that do not fold."""

import numpy as np
import pytest

from nnunetv2_tf.geometry.flow import LARGEST_SINK, balanced, followed, least_jacobian, velocity

SHAPE, STEP = (24, 24, 24), (2.0, 2.0, 2.0)


def balls(*radii: float) -> list[np.ndarray]:
    distance = np.linalg.norm(np.indices(SHAPE) - 11.5, axis=0)
    return [distance < radius for radius in radii]


def test_sinks_take_in_what_sources_give_in_proportion_to_their_weights():
    source, weights = np.zeros((2, 2, 2)), np.zeros((2, 2, 2))
    source[0, 0, 0], weights[1] = 2.0, [[1, 2], [3, 4]]
    rates, share = balanced(source, weights)
    assert share == 1
    np.testing.assert_allclose(rates[1], -2.0 * weights[1] / 10)
    assert rates.sum() == pytest.approx(0)


@pytest.mark.parametrize("given", [3.5, 4.7])
def test_no_sink_takes_more_than_it_can_and_the_others_take_the_rest(given):
    source, weights = np.zeros((2, 2, 2)), np.zeros((2, 2, 2))
    source[0, 0, 0], weights[1] = given, [[1, 2], [3, 40]]
    rates, share = balanced(source, weights)
    assert share == 1
    assert rates.sum() == pytest.approx(0)
    assert rates[1].min() == pytest.approx(-LARGEST_SINK)
    assert (np.diff(rates[1].ravel()) <= 1e-12).all()


def test_a_source_too_large_for_all_sinks_is_made_smaller():
    source, weights = np.zeros((2, 2, 2)), np.zeros((2, 2, 2))
    source[0, 0, 0], weights[1] = 10.0, 1.0
    rates, share = balanced(source, weights)
    assert share == pytest.approx(4 * LARGEST_SINK / 10)
    np.testing.assert_allclose(rates[1], -LARGEST_SINK)
    assert balanced(source, np.zeros((2, 2, 2)))[1] == 0


def test_flow_out_of_a_ball_falls_off_with_the_square_of_the_distance():
    """In a large ball whose rim takes everything in; by Gauss, v = rate * radius^3 / (3 r^2)."""
    core, inside, organ = balls(4, 9, 11)
    rates, _ = balanced(core.astype(float), (organ & ~inside).astype(float))
    speed = velocity(rates, organ.astype(float), STEP)
    offset = (np.indices(SHAPE) - 11.5) * 2
    distance = np.linalg.norm(offset, axis=0)
    outwards = (speed * offset).sum(axis=0) / distance
    between = (distance > 10) & (distance < 16)
    volume = core.sum() * 8
    np.testing.assert_allclose(outwards[between], volume / (4 * np.pi * distance[between] ** 2), rtol=0.15)
    assert not speed[:, ~organ].any()


def test_a_push_leaves_what_it_came_from_smaller_by_the_exponential_of_its_rate():
    core, inside, organ = balls(5, 9, 11)
    for strength in (0.5, 1.0):
        rates, _ = balanced(strength * core, (organ & ~inside).astype(float))
        back = followed(-velocity(rates, organ.astype(float), STEP), STEP)
        distance = np.linalg.norm((np.indices(SHAPE) - 11.5) * 2, axis=0)
        source = np.linalg.norm((np.indices(SHAPE) - 11.5) * 2 + back, axis=0)
        near = (distance > 4) & (distance < 7)
        np.testing.assert_allclose((source / distance)[near], np.exp(-strength / 3), rtol=0.05)
        assert least_jacobian(back, STEP) > 0.8 * np.exp(-strength)


def test_the_least_jacobian_is_that_of_a_known_displacement_and_tells_folds():
    z, y, x = np.indices((6, 7, 8)) * np.reshape((2.0, 1.0, 0.5), (3, 1, 1, 1))
    shift = np.stack([0.5 * z + 0.1 * y, -0.2 * y, 0.3 * x])
    assert least_jacobian(shift, (2.0, 1.0, 0.5)) == pytest.approx(1.5 * 0.8 * 1.3)
    shift[2, 3, 3, 3] -= 2
    assert least_jacobian(shift, (2.0, 1.0, 0.5)) < 0
