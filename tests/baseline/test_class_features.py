"""Against plain loops; small classes keep a weight."""

import numpy as np
import pytest
import torch

from nnunetv2_tf.baseline.class_features import Features, class_distance, class_means, mean_features


def block_shares(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The share of each block that a mask fills, blocks as torch cuts them for sizes that do not divide."""
    shares = np.zeros(shape)
    for place in np.ndindex(*shape):
        box = tuple(
            slice(index * size // number, -(-(index + 1) * size // number))
            for index, size, number in zip(place, mask.shape, shape, strict=True)
        )
        shares[place] = mask[box].mean()
    return shares


@pytest.mark.parametrize("size", [(8, 8, 8), (9, 7, 11)])
def test_means_are_those_of_plain_loops(size):
    rng = np.random.default_rng(1)
    label = rng.choice([0, 1, 2, 4], size=(2, *size))
    label[1][label[1] == 4] = 0
    shapes = [size, tuple(-(-part // 2) for part in size), tuple(-(-part // 4) for part in size)]
    features = [rng.normal(size=(2, 3 + stage, *shape)) for stage, shape in enumerate(shapes)]
    means, present = class_means([torch.from_numpy(one) for one in features], torch.from_numpy(label), [1, 2, 4])
    assert present.tolist() == [[True, True, True], [True, True, False]]
    for stage, feature in enumerate(features):
        for sample in range(2):
            for index, value in enumerate((1, 2, 4)):
                share = block_shares(label[sample] == value, feature.shape[2:])
                expected = np.zeros(feature.shape[1])
                for place in np.ndindex(*share.shape):
                    expected += share[place] * feature[(sample, slice(None), *place)]
                expected /= max(share.sum(), 1e-12)
                np.testing.assert_allclose(means[stage][sample, index].numpy(), expected, atol=1e-10)


def test_a_class_of_one_voxel_survives_two_halvings():
    label = torch.zeros(1, 16, 16, 16, dtype=torch.int64)
    label[0, 5, 6, 7] = 3
    coarse = torch.arange(64.0).reshape(1, 1, 4, 4, 4)
    (mean,), present = class_means([coarse], label, [3])
    assert present.all()
    assert float(mean) == float(coarse[0, 0, 1, 1, 1])


def test_distance_is_the_mean_over_features_stages_and_common_classes():
    rng = np.random.default_rng(2)
    ours, theirs = ([rng.normal(size=(2, 3, width)) for width in (4, 8)] for _ in range(2))
    present = np.array([[True, False, True], [False, False, False]])
    found = class_distance(
        [torch.from_numpy(one) for one in ours], [torch.from_numpy(one) for one in theirs], torch.from_numpy(present)
    )
    expected = np.mean([np.abs(one[0, k] - other[0, k]).mean() for one, other in zip(ours, theirs, strict=True)
                        for k in (0, 2)])  # fmt: skip
    assert found.tolist() == pytest.approx([expected, 0.0])


def test_gradients():
    torch.manual_seed(0)
    feature = torch.randn(1, 2, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    label = torch.randint(0, 3, (1, 5, 5, 5))
    goal = torch.randn(2, 2, dtype=torch.float64)

    def apart(x: torch.Tensor) -> torch.Tensor:
        means, present = class_means([x], label, [1, 2])
        return class_distance(means, [goal], present)

    assert torch.autograd.gradcheck(apart, (feature,))
    means, absent = class_means([feature], label, [7])
    nothing = class_distance(means, means, absent)
    nothing.sum().backward()
    assert feature.grad is not None
    assert not feature.grad.any()


def test_a_prototype_is_the_mean_over_those_that_have_the_class():
    means = torch.tensor([[[[1.0], [5.0]]], [[[3.0], [0.0]]]])
    present = torch.tensor([[[True, True]], [[True, False]]])
    found = mean_features(
        Features.joined([Features([mean], there) for mean, there in zip(means, present, strict=True)])
    )
    assert found.means[0].tolist() == [[[2.0], [5.0]]]
    assert found.present.tolist() == [[True, True]]


def test_a_batch_in_its_place_has_the_gradient_of_all():
    """The mean is that of the whole, the slope that of the batch alone."""
    rng = torch.Generator().manual_seed(0)
    whole = Features([torch.randn(6, 2, 3, generator=rng)], torch.ones(6, 2, dtype=torch.bool))
    part = torch.randn(2, 2, 3, generator=rng, requires_grad=True)
    joined = whole.with_batch(np.array([4, 1]), Features([part], torch.ones(2, 2, dtype=torch.bool)))
    expected = whole.means[0].clone()
    expected[4], expected[1] = part.detach()[0], part.detach()[1]
    assert torch.equal(joined.means[0].detach(), expected)
    mean_features(joined).means[0].sum().backward()
    assert part.grad is not None
    torch.testing.assert_close(part.grad, torch.full_like(part, 1 / 2))  # of two, not of six
    assert not joined.detached().means[0].requires_grad
