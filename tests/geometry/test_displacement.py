"""Displaced volumes: fine lines move whole, and what is still stays bit for bit."""

import numpy as np
import pytest

from nnunetv2_tf.geometry.blocks import Blocks
from nnunetv2_tf.geometry.displacement import NOTHING, Displacement, displaced

SHAPE = (30, 30, 30)


def swell(step: float, shape: tuple[int, ...] = SHAPE) -> Displacement:
    """Tissue that came from up to 3 mm further to the back, most in the middle, nothing at the edge."""
    blocks = Blocks.near(4.0, (step,) * 3, shape)
    z, y, x = (np.linspace(-1, 1, size) for size in blocks.shape)
    shift = np.zeros((3, *blocks.shape), np.float32)
    shift[1] = 3 * (1 - z[:, None, None] ** 2) * (1 - y[:, None] ** 2) * (1 - x**2)
    return Displacement(shift, blocks, np.ones(shape, bool))


def test_values_are_those_of_where_they_came_from():
    moved = swell(1.0)
    found = moved.on(np.eye(4), SHAPE)
    assert found is not None
    box, shift = found
    slope = np.indices(SHAPE)[1].astype(np.float32)
    expected = slope[box] + shift[1]
    still = ~shift.any(axis=0)
    result = displaced(slope, box, shift, (1.0, 1.0, 1.0), 3)
    inner = expected < 24  # splines know nothing of what is beyond the volume
    np.testing.assert_allclose(result[inner], expected[inner], atol=1e-2)
    np.testing.assert_array_equal(result[still], slope[box][still])
    label = (slope > 14).astype(np.int16)
    moved_label = displaced(label, box, shift, (1.0, 1.0, 1.0), 0)
    assert moved_label.dtype == np.int16
    np.testing.assert_array_equal(moved_label[~still], (expected > 14.5)[~still])


def test_the_same_displacement_on_a_finer_grid_moves_a_thin_line_whole():
    """A line of 1 mm in a scan whose plans have 3 mm: one line afterwards, as dark as before, where it should be."""
    working, fine = (14, 14, 14), (42, 42, 42)
    moved = swell(3.0, working)
    to_working = np.diag([1 / 3, 1 / 3, 1 / 3, 1.0])
    to_working[:3, 3] = -1 / 3
    found = moved.on(to_working, fine)
    assert found is not None
    box, shift = found
    volume = np.zeros(fine)
    volume[:, 24, :] = 1
    result = volume.copy()
    result[box] = displaced(volume, box, shift, (1.0, 1.0, 1.0), 3)
    profile = result[20, :, 20]
    middle = tuple(20 - part.start for part in (box[0], box[2]))
    source = np.arange(box[1].start, box[1].stop) + shift[1][middle[0], :, middle[1]]
    expected = box[1].start + np.interp(24, source, np.arange(len(source)))
    centre = (profile * np.arange(42)).sum() / profile.sum()
    assert expected < 23
    assert centre == pytest.approx(expected, abs=0.15)
    assert (profile > 0.5).sum() <= 2
    assert np.ptp(np.flatnonzero(profile > 0.15)) <= 2  # no double edge


def test_nothing_moves_outside_the_organ_or_by_next_to_nothing():
    organ = np.zeros(SHAPE, bool)
    organ[:, :15] = True
    moved = swell(1.0)
    found = Displacement(moved.shift, moved.blocks, organ).on(np.eye(4), SHAPE)
    assert found is not None
    box, shift = found
    assert not shift[:, ~organ[box]].any()
    assert shift.any()
    assert Displacement(moved.shift * NOTHING / 4, moved.blocks, organ).on(np.eye(4), SHAPE) is None
    assert moved.spacing == (1.0, 1.0, 1.0)
