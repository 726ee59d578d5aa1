"""KID against plain loops, and on samples of which the answer is known."""

import numpy as np
import pytest
import torch
from torch import nn

from nnunetv2_tf.baseline.encoder import Encoder
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.quality.realism import kernel_distance, tumour_features


def test_against_loops():
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(size=(4, 3)), rng.normal(size=(5, 3)) + 1

    def k(x, y):
        return (sum(a * b for a, b in zip(x, y, strict=True)) / 3 + 1) ** 3

    own = np.mean([k(ours[i], ours[j]) for i in range(4) for j in range(4) if i != j])
    other = np.mean([k(theirs[i], theirs[j]) for i in range(5) for j in range(5) if i != j])
    between = np.mean([k(x, y) for x in ours for y in theirs])
    assert kernel_distance(ours, theirs) == pytest.approx(own + other - 2 * between)


def test_same_and_other_distributions():
    rng = np.random.default_rng(1)
    same = [kernel_distance(rng.normal(size=(20, 8)), rng.normal(size=(20, 8))) for _ in range(200)]
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(200)
    moved = [kernel_distance(rng.normal(size=(20, 8)), rng.normal(size=(20, 8)) + shift) for shift in (0.5, 1.0)]
    assert 3 * np.std(same) < moved[0] < moved[1]


def test_features_are_those_of_the_tumour():
    """An encoder that changes nothing, and a halving one: means of the tumour's voxels."""
    stages = [nn.Identity(), nn.AvgPool3d(2), nn.AvgPool3d(2)]
    image, tumour = np.zeros((1, 16, 16, 16), np.float32), np.zeros((16, 16, 16), np.int16)
    tumour[4:8, 4:12, 4:8] = 2
    image[0, 4:8, 4:8, 4:8], image[0, 4:8, 8:12, 4:8] = 1.0, 3.0
    found = tumour_features([(image, tumour)] * 2, Encoder(None, stages), (16, 16, 16), torch.device("cpu"))
    np.testing.assert_allclose(found, [[2.0, 2.0, 2.0]] * 2, rtol=1e-6)


def test_one_case_is_no_sample():
    with pytest.raises(UserError, match="two cases or more on either side, not 1 with 5"):
        kernel_distance(np.zeros((1, 3)), np.zeros((5, 3)))
