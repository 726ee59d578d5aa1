"""Turns against plain coordinates."""

import numpy as np
import torch

from nnunetv2_tf.geometry.rotation import rotation
from nnunetv2_tf.training.augmentation import RandomAffine


def turned_by(*degrees: float) -> np.ndarray:
    """For points (z, y, x)."""
    return rotation(degrees)[::-1, ::-1]


def test_mirroring_is_exact():
    volume = torch.rand(2, 3, 4, 5)
    assert torch.equal(RandomAffine((1, 3), None).apply(volume, (1, 1, 1)), volume.flip(1, 3))


def test_a_quarter_turn_moves_voxels():
    """About z by 90 degrees: what lay along y lies along x."""
    volume = torch.zeros(1, 5, 5, 5)
    volume[0, 2, 0, 2] = 1
    turned = RandomAffine((), turned_by(90, 0, 0)).apply(volume, (1, 1, 1))
    (place,) = torch.nonzero(turned[0] > 0.5).tolist()
    assert place in ([2, 2, 0], [2, 2, 4])


def test_turning_counts_millimetres():
    """What is round stays as it is on a grid of thick slices."""
    spacing = (3.0, 1.0, 1.0)
    places = np.indices((16, 48, 48)) - np.array([7.5, 23.5, 23.5])[:, None, None, None]
    away = np.linalg.norm(places * np.array(spacing)[:, None, None, None], axis=0)
    ball = torch.from_numpy(np.exp(-(away**2) / (2 * 6.0**2)).astype(np.float32))[None]
    turned = RandomAffine((), turned_by(10, 20, 30)).apply(ball, spacing)
    assert float((turned - ball).abs().max()) < 0.05
    smaller = RandomAffine((), np.eye(3) * 1.25).apply(ball, spacing)
    assert abs(float(smaller.sum() / ball.sum()) - 1.25**-3) < 0.02


def test_maps_keep_their_values():
    label = torch.randint(0, 4, (1, 12, 12, 12)).float()
    turned = RandomAffine((), turned_by(10, 5, -7)).apply(label, (1, 1, 1), nearest=True)
    assert set(turned.unique().tolist()) <= {0.0, 1.0, 2.0, 3.0}


def test_draws_depend_on_the_seed_alone():
    one, other = (RandomAffine.sample(np.random.default_rng(3), (1, 1, 1)) for _ in range(2))
    assert one.mirrored == other.mirrored
    many = [RandomAffine.sample(np.random.default_rng(seed), (1, 1, 1)) for seed in range(200)]
    turned = [turn for turn in many if turn.matrix is not None]
    assert 60 < len(turned) < 140
    for turn in turned:
        assert turn.matrix is not None
        assert 0.9**3 - 1e-9 <= 1 / np.linalg.det(turn.matrix) <= 1.1**3 + 1e-9
    assert {axis for turn in many for axis in turn.mirrored} == {1, 2, 3}


def test_thick_slices_are_not_mixed():
    """About the axis across them only, as nnU-Net turns."""
    for seed in range(20):
        matrix = RandomAffine.sample(np.random.default_rng(seed), (5.0, 1.0, 1.0)).matrix
        if matrix is not None:
            np.testing.assert_allclose(matrix[0], [1, 0, 0])
            np.testing.assert_allclose(matrix[:, 0], [1, 0, 0])
            assert not np.allclose(matrix[1:, 1:], np.eye(2))
