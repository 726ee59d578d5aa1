"""What the discriminator says before its first step, how content is put in, and files of generators."""

import pytest
import torch
from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet
from nnunetv2.utilities.label_handling.label_handling import LabelManager
from scipy.ndimage import gaussian_filter
from torch import nn

from nnunetv2_tf.baseline.class_probabilities import ClassProbabilities
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.methods.freetumor.networks import (
    WEIGHTS,
    Content,
    Discriminator,
    blurred,
    read_generator,
    single_output,
)
from nnunetv2_tf.networks.saved import weights_of, write_network
from tests.methods.freetumor.examples import CLASSES, SIZE, design, judges

IMAGE = torch.randn(2, 1, *SIZE, generator=torch.Generator().manual_seed(0))


def test_at_first_the_discriminator_segments_as_the_segmentor_does_and_calls_half_of_it_synthetic():
    segmentor, discriminator = judges()
    real, fake, votes = discriminator(IMAGE)
    p = torch.softmax(segmentor(IMAGE), dim=1)[:, list(CLASSES)]
    torch.testing.assert_close(real.exp() + fake.exp(), p)
    assert torch.equal(real, fake)
    assert not votes.any()
    assert torch.equal(discriminator.segmentor(IMAGE)[:, :4], segmentor(IMAGE))


def test_regions_and_residual_encoders_serve_too():
    """Three overlapping regions of a residual encoder U-Net; segmentations are those before, voxel by voxel."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = ResidualEncoderUNet(
            1, 3, (4, 8, 8), nn.Conv3d, 3, (1, 2, 2), (1, 1, 1), 3, (1, 1), norm_op=nn.InstanceNorm3d,
            nonlin=nn.LeakyReLU, deep_supervision=True,
        )  # fmt: skip
    manager = LabelManager({"background": 0, "WT": [1, 2, 3], "TC": [1, 3], "ET": [3]}, [2, 1, 3])
    before = single_output(network)(IMAGE).detach()
    discriminator = Discriminator(network, ClassProbabilities.of(manager, (1, 2, 3)))
    real, fake, _ = discriminator(IMAGE)
    assert torch.equal(discriminator.segmentor(IMAGE)[:, :3], before)
    wt, tc, et = torch.sigmoid(before).unbind(dim=1)
    expected = torch.stack([tc * (1 - et), wt * (1 - tc) * (1 - et), et], dim=1)
    torch.testing.assert_close(real.exp() + fake.exp(), expected)


def test_votes_share_a_class_between_real_and_synthetic():
    segmentor, discriminator = judges()
    votes = discriminator.segmentor.decoder.seg_layers[-1].votes  # type: ignore[union-attr]
    torch.nn.init.normal_(votes.weight, generator=torch.Generator().manual_seed(0))
    real, fake, given = discriminator(IMAGE)
    p = torch.softmax(segmentor(IMAGE), dim=1)[:, list(CLASSES)]
    torch.testing.assert_close(fake.exp(), p * torch.sigmoid(given))
    torch.testing.assert_close(real.exp() + fake.exp(), p)


def test_the_segmentor_is_frozen_and_the_discriminator_learns_all_of_its_weights():
    segmentor, discriminator = judges()
    assert not any(weight.requires_grad for weight in segmentor.parameters())
    real, fake, _ = discriminator(IMAGE)
    (real.mean() - 2 * fake.mean()).backward()
    used = [name for name, weight in discriminator.named_parameters() if weight.grad is not None]
    assert any("votes" in name for name in used)
    assert any("encoder" in name for name in used)


def test_composition_against_the_equation():
    generator, soft = Content(design()), torch.rand(2, *SIZE)
    difference = torch.randn(2, 1, *SIZE)
    content = IMAGE + 2 * difference  # the range is z from -2 to 2, for [-1, 1]
    expected = IMAGE * (1 - soft[:, None]) + content * soft[:, None]
    torch.testing.assert_close(generator.composed(IMAGE, difference, soft), expected)


def test_texture_is_a_factor_where_it_is_to_be():
    m, texture = torch.zeros(2, *SIZE, dtype=torch.int16), torch.zeros(2, *SIZE)
    m[:, 4:8, 4:8, 4:8] = 3
    assert Content(design())(IMAGE, m, texture).any()
    assert not Content(design(textured=True))(IMAGE, m, texture).any()


def test_blurring_against_scipy():
    volume = torch.randn(1, 2, 20, 22, 24, generator=torch.Generator().manual_seed(1))
    expected = [gaussian_filter(one.numpy(), 1.5, mode="nearest", radius=4) for one in volume[0]]
    for found, wanted in zip(blurred(volume, 1.5)[0], expected, strict=True):
        torch.testing.assert_close(found, torch.from_numpy(wanted), atol=1e-5, rtol=0)
    with_blur = Content(design(smooth=1.0))
    plain = Content(design())
    plain.load_state_dict(with_blur.state_dict())
    m, texture = torch.ones(2, *SIZE, dtype=torch.int16), torch.rand(2, *SIZE)
    torch.testing.assert_close(with_blur(IMAGE, m, texture), blurred(plain(IMAGE, m, texture), 1.0))


def test_a_generator_is_read_as_it_was_written(tmp_path):
    torch.manual_seed(0)
    generator = Content(design(2, smooth=1.0, textured=True)).eval()
    write_network(tmp_path / WEIGHTS, generator.design, weights_of(generator))
    read = read_generator(tmp_path / WEIGHTS, "")
    given = torch.rand(1, 2, *SIZE), torch.ones(1, *SIZE, dtype=torch.int16), torch.rand(1, *SIZE)
    assert read.design == generator.design
    assert torch.equal(read(*given), generator(*given))
    (tmp_path / "bad").write_bytes(b"not it")
    with pytest.raises(UserError, match="bad is no generator of FreeTumor .*; fit again"):
        read_generator(tmp_path / "bad", "fit again")
