"""Losses against plain loops."""

import math

import pytest
import torch

from nnunetv2_tf.methods.pix2pix import losses


def plain_entropy(logits: torch.Tensor, truth: bool) -> list[float]:
    found = []
    for image in logits:
        values = [1 / (1 + math.exp(-float(value))) for value in image.flatten()]
        found.append(sum(-math.log(value if truth else 1 - value) for value in values) / len(values))
    return found


def test_adversarial_losses():
    torch.manual_seed(0)
    real, made = torch.randn(2, 1, 2, 3, 2), torch.randn(2, 1, 2, 3, 2)
    expected = [(a + b) / 2 for a, b in zip(plain_entropy(real, True), plain_entropy(made, False), strict=True)]
    assert losses.adversarial_d(real, made).tolist() == pytest.approx(expected, rel=1e-4)
    assert losses.adversarial_g(made).tolist() == pytest.approx(plain_entropy(made, True), rel=1e-4)


def test_l1_counts_where_it_is_to():
    torch.manual_seed(0)
    x, y, where = torch.randn(2, 2, 3, 3, 3), torch.randn(2, 2, 3, 3, 3), torch.rand(2, 3, 3, 3) < 0.5
    for index, found in enumerate(losses.l1(x, y, where).tolist()):
        values = [
            abs(float(x[index, c, i, j, k] - y[index, c, i, j, k]))
            for c in range(2) for i in range(3) for j in range(3) for k in range(3) if where[index, i, j, k]
        ]  # fmt: skip
        assert found == pytest.approx(sum(values) / len(values), rel=1e-5)
    assert losses.l1(x, y, torch.zeros_like(where)).tolist() == [0, 0]
