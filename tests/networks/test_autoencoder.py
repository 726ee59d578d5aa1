"""The autoencoder, its codebook, and the network of diffusion models."""

import pytest
import torch

from nnunetv2_tf.networks.autoencoder import Autoencoder, strides_of
from nnunetv2_tf.networks.denoiser import Denoiser
from nnunetv2_tf.networks.levels import Levels
from nnunetv2_tf.networks.quantiser import AT_ONCE, Quantiser, commitment, used
from nnunetv2_tf.networks.residual import TimeFeatures

LEVELS = {
    "one halving": Levels.of((16, 16, 16), (1.0, 1.0, 1.0), 2),
    "two": Levels.of((16, 20, 24), (1.0, 1.0, 1.0), 3),
    "thick slices": Levels.of((6, 16, 16), (4.0, 1.0, 1.0), 2),
}


@pytest.mark.parametrize("name", LEVELS)
@pytest.mark.parametrize(("channels", "codebook"), [(1, 0), (4, 16)])
def test_latents_are_coarser_by_the_strides(name, channels, codebook):
    levels = LEVELS[name]
    network = Autoencoder(channels, (4, 6, 8), 5, levels, codebook)
    x = torch.rand(2, channels, *levels.patch)
    again, z, rounded = network(x)
    coarse = tuple(size // stride for size, stride in zip(levels.patch, strides_of(levels), strict=True))
    assert again.shape == x.shape
    assert z.shape == (2, 5, *coarse)
    assert (rounded is None) is (codebook == 0)
    torch.testing.assert_close(network.decode(network.encode(x)), again)


def test_strides_are_what_a_latent_stands_for():
    assert strides_of(LEVELS["two"]) == (4, 4, 4)
    assert strides_of(LEVELS["thick slices"])[0] == 1


def test_brightness_is_not_lost():
    """A flat image, and one that is twice as bright, come to other latents: no norm makes them alike."""
    network = Autoencoder(1, (4, 8), 3, LEVELS["one halving"])
    flat = torch.ones(1, 1, *LEVELS["one halving"].patch)
    assert not torch.allclose(network.encode(flat), network.encode(2 * flat), atol=1e-3)


def test_the_nearest_vector_is_chosen():
    torch.manual_seed(0)
    quantiser = Quantiser(7, 3)
    z = torch.randn(2, 3, 4, 5, 6)
    found = quantiser.nearest(z)
    for place in [(0, 0, 0, 0), (1, 3, 4, 5), (0, 2, 1, 3)]:
        batch, *voxel = place
        distances = [(z[(batch, slice(None), *voxel)] - vector).square().sum().item() for vector in quantiser.codebook]
        assert int(found[place]) == min(range(7), key=lambda index: distances[index])
    large = torch.randn(1, 3, 1, 1, AT_ONCE + 5)  # more than are compared at once
    assert torch.equal(quantiser.nearest(large)[..., -5:], quantiser.nearest(large[..., -5:]))


def test_half_precision_changes_no_choice():
    torch.manual_seed(0)
    quantiser = Quantiser(512, 8)
    z = torch.randn(1, 8, 4, 8, 8) + 3
    with torch.autocast("cpu", torch.bfloat16):
        inside = quantiser.nearest(z)
    assert torch.equal(inside, quantiser.nearest(z))


def test_gradients_go_straight_through():
    quantiser = Quantiser(7, 3)
    z = torch.randn(1, 3, 2, 2, 2, requires_grad=True)
    on_codebook, index = quantiser(z)
    torch.testing.assert_close(on_codebook[0, :, 1, 0, 1].detach(), quantiser.codebook[index[0, 1, 0, 1]])
    (on_codebook * 3).sum().backward()
    assert z.grad is not None
    assert torch.equal(z.grad, torch.full_like(z, 3))


def test_vectors_follow_what_chose_them_and_unused_ones_are_replaced():
    torch.manual_seed(1)
    quantiser = Quantiser(3, 2)
    quantiser.codebook.copy_(torch.tensor([[0.0, 0.0], [5.0, 5.0], [99.0, 99.0]]))
    quantiser.sums.copy_(quantiser.codebook)
    draws = torch.Generator().manual_seed(0)
    near = torch.tensor([[1.0, 0.0], [4.0, 6.0]])  # of the first two
    z = near.repeat(50, 1).T.reshape(1, 2, 1, 1, 100)
    assert used(quantiser.nearest(z), 3).item() == pytest.approx(2 / 3)
    for _ in range(600):
        quantiser.follow(z, quantiser.nearest(z), draws)
    assert quantiser.codebook.abs().max() < 7  # the one far away was replaced
    distances = torch.cdist(near, quantiser.codebook).min(dim=1).values
    assert distances.max().item() < 0.05


def test_a_codebook_larger_than_a_step_settles():
    """Vectors that cannot all be chosen in a step are not all replaced in each."""
    torch.manual_seed(1)
    quantiser, draws = Quantiser(200, 2), torch.Generator().manual_seed(0)
    before = quantiser.codebook.clone()
    for step in range(300):
        z = torch.randn(1, 2, 1, 10, 10, generator=torch.Generator().manual_seed(step))
        if step >= 250:
            before = quantiser.codebook.clone()
        quantiser.follow(z, quantiser.nearest(z), draws)
    moved = (quantiser.codebook - before).norm(dim=1) > 0.3
    assert moved.float().mean() < 0.2


def test_commitment_is_a_mean_square():
    z, on_codebook = torch.randn(2, 3, 2, 2, 2), torch.randn(2, 3, 2, 2, 2)
    expected = [((z[index] - on_codebook[index]) ** 2).mean().item() for index in range(2)]
    assert commitment(z, on_codebook).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("name", LEVELS)
def test_the_denoiser_knows_the_time(name):
    levels = LEVELS[name]
    network = Denoiser(6, 3, (8, 8, 8), levels)
    x = torch.rand(2, 6, *levels.patch)
    early, late = network(x, torch.tensor([1, 1])), network(x, torch.tensor([900, 900]))
    assert early.shape == (2, 3, *levels.patch)
    assert not torch.allclose(early, late, atol=1e-4)
    both = network(x, torch.tensor([1, 900]))
    torch.testing.assert_close(both, torch.stack([early[0], late[1]]), atol=1e-5, rtol=1e-4)


def test_times_are_told_apart_at_all_scales():
    waves = TimeFeatures(16)
    waves.layers = torch.nn.Identity()  # type: ignore[assignment]
    found = waves(torch.tensor([0, 1, 2, 500, 501, 1000]))
    assert torch.cdist(found, found)[~torch.eye(6, dtype=torch.bool)].min() > 0.05
