"""Patches of cases: what they can reach, and where they are cut."""

import numpy as np
import pytest

from nnunetv2_tf.geometry.feather import distance_to
from nnunetv2_tf.training.patches import JITTER, REAL_VOLUMES, compact, patch_of, real_piece
from tests.scenes import Built

SIZE = (16, 12, 16)


def test_a_piece_is_the_case(scene: Built):
    case = scene.cases[0]
    piece = real_piece(case, SIZE, 9.0, whole=True)
    assert set(piece) == {*REAL_VOLUMES, "centre"}
    np.testing.assert_allclose(piece["image"], case.image(), atol=0.02)
    np.testing.assert_array_equal(piece["tumour"], case.tumour())
    np.testing.assert_array_equal(piece["organ"], case.organ())
    np.testing.assert_allclose(piece["distance"], distance_to(case.tumour(), case.grid.spacing, 9.0), atol=0.01)


def test_patches_around_a_tumour_are_the_same_cut_from_a_part_as_from_all(scene: Built):
    whole, part = (real_piece(scene.cases[1], SIZE, 9.0, whole) for whole in (True, False))
    assert part["image"].size <= whole["image"].size
    for seed in range(10):
        one, other = (
            patch_of(piece, REAL_VOLUMES, SIZE, 1.0, np.random.default_rng(seed)) for piece in (whole, part)
        )  # fmt: skip
        for name in REAL_VOLUMES:
            np.testing.assert_array_equal(one[name], other[name])
        assert (one["tumour"] > 0).any()


def test_as_many_patches_lie_around_tumours_as_is_said(scene: Built):
    piece = real_piece(scene.cases[0], SIZE, 9.0, whole=True)
    middles = {share: [_middle(piece, share, seed) for seed in range(40)] for share in (0.0, 1.0)}
    reach = np.array(SIZE) // JITTER
    near = {share: np.mean([(np.abs(one) <= reach).all() for one in found]) for share, found in middles.items()}
    assert near[1.0] == 1
    assert near[0.0] < 0.6


def _middle(piece: dict[str, np.ndarray], share: float, seed: int) -> np.ndarray:
    """Where a patch lies, from the middle of the tumour: by volumes that hold their voxels' places."""
    indices = np.indices(piece["organ"].shape, dtype=np.float32)
    places = {f"place{axis}": np.asarray(indices[axis]) for axis in range(3)}
    patch = patch_of({**piece, **places}, list(places), SIZE, share, np.random.default_rng(seed))
    middle = tuple(size // 2 for size in SIZE)
    return np.array([patch[name][middle] for name in places]) - piece["centre"]


def test_bright_volumes_are_kept_in_single_precision():
    (dark,), (bright,) = compact(np.full(3, 5.0)), compact(np.full(3, 500.3))
    assert (dark.dtype, bright.dtype) == (np.float16, np.float32)
    assert bright[0] == pytest.approx(500.3)
