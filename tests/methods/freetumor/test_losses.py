"""The losses against plain loops."""

import math

import pytest
import torch

from nnunetv2_tf.methods.freetumor.losses import Losses

CLASSES = (1, 3)


def probabilities(seed: int) -> torch.Tensor:
    return torch.rand(2, 2, 3, 4, 5, generator=torch.Generator().manual_seed(seed)) * 0.8 + 0.1


def maps(seed: int) -> torch.Tensor:
    drawn = torch.randint(0, 4, (2, 3, 4, 5), generator=torch.Generator().manual_seed(seed))
    return torch.where(drawn == 2, 0, drawn)


def missed(p: torch.Tensor, where: torch.Tensor, logarithmic: bool) -> list[float]:
    """By image, voxel by voxel."""
    found = []
    for image, labels in zip(p.tolist(), where.tolist(), strict=True):
        of_classes = []
        for index, value in enumerate(CLASSES):
            losses = [
                -math.log(image[index][z][y][x]) if logarithmic else 1 - image[index][z][y][x]
                for z in range(3) for y in range(4) for x in range(5) if labels[z][y][x] == value
            ]  # fmt: skip
            of_classes += [sum(losses) / len(losses)] if losses else []
        found.append(sum(of_classes) / max(len(of_classes), 1))
    return found


@pytest.mark.parametrize("logarithmic", [False, True])
def test_each_is_what_is_missed(logarithmic):
    losses, m, y = Losses(CLASSES, logarithmic), maps(1), maps(2)
    p, other = probabilities(3), probabilities(4)
    expected = missed(p, m, logarithmic)
    assert losses.adv(p.log(), m).tolist() == pytest.approx(expected, rel=1e-5)
    assert losses.seg(p.log(), m).tolist() == pytest.approx(expected, rel=1e-5)
    both = [(one + two) / 2 for one, two in zip(expected, missed(other, y, logarithmic), strict=True)]
    assert losses.d(p.log(), m, other.log(), y).tolist() == pytest.approx(both, rel=1e-5)


@pytest.mark.parametrize("logarithmic", [False, True])
def test_what_is_allowed_of_a_class_costs_nothing(logarithmic):
    """Only class 1 is there in the first image; of class 3 all is allowed in the second."""
    losses, p, m = Losses(CLASSES, logarithmic), probabilities(3), maps(1)
    m[0][m[0] == 3] = 0
    of_class, there = losses.by_class(p.log(), m)
    assert there.tolist() == [[True, False], [True, True]]
    allowed = torch.tensor([0.1, 1000.0])
    expected = [float(of_class[0, 0]) - 0.1, (float(of_class[1, 0]) - 0.1) / 2]
    assert losses.seg(p.log(), m, allowed).tolist() == pytest.approx(expected, rel=1e-5)
    assert losses.seg(p.log(), m, torch.zeros(2)).tolist() == pytest.approx(missed(p, m, logarithmic), rel=1e-5)


@pytest.mark.parametrize("logarithmic", [False, True])
def test_a_class_that_is_not_there_does_not_count_and_air_costs_nothing(logarithmic):
    losses, p = Losses(CLASSES, logarithmic), probabilities(0)
    only = maps(1)
    only[only == 3] = 0
    assert losses.adv(p.log(), only).tolist() == pytest.approx(missed(p, only, logarithmic), rel=1e-5)
    nothing = torch.zeros_like(only)
    assert losses.adv(p.log(), nothing).tolist() == [0, 0]


def test_one_class_is_the_papers_loss():
    """1 - p, averaged over the tumour's voxels."""
    p, m = probabilities(0)[:, :1], (maps(1) > 0).long()
    found = Losses((1,), False).adv(p.log(), m)
    expected = [float(1 - image[0][where == 1].mean()) for image, where in zip(p, m, strict=True)]
    assert found.tolist() == pytest.approx(expected, rel=1e-5)


def test_where_a_network_is_sure_only_the_logarithm_has_a_gradient():
    m = torch.ones(1, 1, 1, 1).long()
    gradients = []
    for logarithmic in (False, True):
        logit = torch.full((1, 1, 1, 1, 1), -20.0, requires_grad=True)
        Losses((1,), logarithmic).seg(torch.nn.functional.logsigmoid(logit), m).sum().backward()
        assert logit.grad is not None
        gradients.append(abs(float(logit.grad)))
    assert gradients[0] < 1e-8 < 0.9 < gradients[1]
