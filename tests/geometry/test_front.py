"""Fronts: how fast they fall off, and what they go around."""

import numpy as np

from nnunetv2_tf.geometry.front import spread_from


def test_it_falls_off_as_the_equation_says_in_one_dimension():
    core = np.zeros((1, 1, 60), bool)
    core[..., 0] = True
    found = spread_from(core, np.ones(core.shape), (1.0, 1.0, 0.5), 5.0)
    expected = np.cosh((29.75 - 0.5 * np.arange(60)) / 5) / np.cosh(29.75 / 5)  # no flux through the far end
    np.testing.assert_allclose(found[0, 0], expected, rtol=0.02)


def test_it_goes_further_where_passing_is_easy_and_not_through_what_is_closed():
    core = np.zeros((1, 21, 21), bool)
    core[0, 10, 10] = True
    passed = np.full(core.shape, 0.1)
    passed[0, 10, 10:] = 1.0
    passed[0, :, 5] = 0
    found = spread_from(core, passed, (1.0, 1.0, 1.0), 5.0)[0]
    assert found[10, 15] > 2 * found[15, 10]
    assert not found[:, 5].any()
    assert found[:, :5].max() < 1e-6  # behind the wall
    assert found[10, 10] == 1
