"""A voxel classifier learns what distinguishes tumours; place alone is a floor."""

import numpy as np
import pytest

from nnunetv2_tf.quality.voxel_classifier import (
    PLACE,
    Samples,
    Scan,
    VoxelClassifier,
    sampled,
    voxel_features,
)


def scan(seed: int, sign: float = 1.0) -> Scan:
    rng = np.random.default_rng(seed)
    grid = np.indices((24, 26, 28))
    centre = np.array([12, 13, 14])[:, None, None, None]
    organ = (((grid - centre) / np.array([11, 12, 13])[:, None, None, None]) ** 2).sum(axis=0) < 1
    away = np.linalg.norm(grid - (centre + rng.integers(-4, 5, 3)[:, None, None, None]), axis=0)
    label = np.where(organ, np.select([away < 3, away < 6], [1, 2]), 0)
    image = sign * np.select([label == 1, label == 2], [2.0, 1.0]) + rng.normal(0, 0.3, label.shape)
    return Scan(np.where(organ, image, 0)[None].astype(np.float32), label, organ, (2.0, 2.0, 2.0), 2)


def accuracy(model: VoxelClassifier) -> float:
    other = scan(99)
    found = model.segmentation(other, voxel_features(other))
    assert not found[~other.organ].any()
    return float((found == other.label)[other.label > 0].mean())


def test_it_learns_tumours_and_place_alone_does_not():
    samples = Samples.joined(sampled(scan(seed), np.random.default_rng(seed)) for seed in range(4))
    wrong = Samples.joined(sampled(scan(seed, -1.0), np.random.default_rng(seed)) for seed in range(4))
    assert accuracy(VoxelClassifier(0).fit(samples)) > 0.9
    assert accuracy(VoxelClassifier(0, only_place=True).fit(samples)) < 0.7
    assert accuracy(VoxelClassifier(0).fit(wrong)) < 0.5


def test_samples_stand_for_all_voxels():
    one = scan(0)
    samples = sampled(one, np.random.default_rng(0))
    assert samples.weights.sum() == pytest.approx(one.organ.sum())
    assert samples.weights[samples.labels > 0].sum() == pytest.approx((one.label > 0).sum())


def test_features_and_their_place():
    one = scan(0)
    features = voxel_features(one)
    assert features.shape[0] == one.organ.sum()
    assert features.dtype == np.float32
    np.testing.assert_array_equal(features[:, 0], one.image[0][one.organ])
    mirrored = Scan(one.image[..., ::-1], one.label[..., ::-1], one.organ[..., ::-1], one.spacing, 2)
    column = features.shape[1] - PLACE + 2  # from left to right: the distance from the middle
    np.testing.assert_allclose(sorted(voxel_features(mirrored)[:, column]), sorted(features[:, column]), rtol=1e-6)
