"""Mixup: what a blended batch and its loss are, against sums written out."""

import pytest
import torch
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from torch.nn import functional

from nnunetv2_tf.training.mixup import MixupLoss, blended


def scores(seed: int) -> torch.Tensor:
    return torch.randn(3, 4, 5, 6, 7, generator=torch.Generator().manual_seed(seed))


def targets(seed: int) -> torch.Tensor:
    return torch.randint(0, 4, (3, 5, 6, 7), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_each_image_is_blended_with_the_next_and_the_last_with_the_first(share):
    images = scores(0)
    mixed = blended(images, share)
    for place, partner in ((0, 1), (1, 2), (2, 0)):
        torch.testing.assert_close(mixed[place], share * images[place] + (1 - share) * images[partner])


def test_cross_entropy_is_that_of_blended_labels():
    """Zhang et al. blend one-hot labels; torch's cross-entropy takes such."""
    output, target, share = scores(0), targets(1), 0.3
    labels = functional.one_hot(target, 4).movedim(-1, 1).float()
    soft = torch.stack([share * labels[place] + (1 - share) * labels[(place + 1) % 3] for place in range(3)])
    loss = MixupLoss(torch.nn.CrossEntropyLoss())
    with loss.mixing(share):
        torch.testing.assert_close(loss(output, target), functional.cross_entropy(output, soft))


def test_of_all_resolutions():
    wrapped = DeepSupervisionWrapper(torch.nn.CrossEntropyLoss(), weight_factors=[0.75, 0.25])
    outputs, both = [scores(0), scores(1)], [targets(2), targets(3)]
    loss, expected = MixupLoss(wrapped), torch.zeros(())
    for weight, output, target in zip((0.75, 0.25), outputs, both, strict=True):
        for share, labels in ((0.6, target), (0.4, target[[1, 2, 0]])):
            expected = expected + weight * share * functional.cross_entropy(output, labels)
    with loss.mixing(0.6):
        torch.testing.assert_close(loss(outputs, both), expected)


def test_only_within_the_context_also_after_an_error():
    loss, output, target = MixupLoss(torch.nn.CrossEntropyLoss()), scores(0), targets(1)
    plain = functional.cross_entropy(output, target)
    assert loss(output, target) == plain
    with pytest.raises(KeyError), loss.mixing(0.5):
        assert loss(output, target) != plain
        raise KeyError
    assert loss(output, target) == plain
