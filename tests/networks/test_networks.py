"""Levels, the U-Net and the discriminator: shapes, and what they are made of."""

import pytest
import torch
from torch import nn

from nnunetv2_tf.networks.discriminators import DualHead, FeatureHeads
from nnunetv2_tf.networks.levels import Levels
from nnunetv2_tf.networks.unet import UNet

PATCHES = {
    "six levels": ((128, 128, 128), (1.0, 1.0, 1.0), 6),
    "four": ((32, 48, 40), (1.0, 1.0, 1.0), 4),
    "two": ((8, 8, 8), (1.0, 1.0, 1.0), 2),
    "thick slices": ((12, 40, 36), (4.0, 1.0, 1.0), 4),
    "a plane": ((8, 64, 64), (5.0, 0.7, 0.7), 5),
}


@pytest.mark.parametrize("name", PATCHES)
def test_an_axis_is_halved_while_four_voxels_are_left(name):
    patch, spacing, number = PATCHES[name]
    levels = Levels.of(patch, spacing, 6)
    assert levels.number == len(levels.kernels) == number
    for axis, size in enumerate(levels.patch):
        whole = 1
        for stride in levels.strides:
            whole *= stride[axis]
        assert size % whole == 0
        assert size // whole >= 4
        assert patch[axis] <= size < patch[axis] + whole
    assert levels.strides[0] == (1, 1, 1)


def test_no_more_levels_than_asked_for():
    assert Levels.of((128, 128, 128), (1.0, 1.0, 1.0), 3).number == 3


@pytest.mark.parametrize(("channels", "classes"), [(1, 3), (4, 2), (1, 4)])
@pytest.mark.parametrize("name", ["four", "two", "thick slices", "a plane"])
def test_shapes(name, channels, classes):
    levels = Levels.of(*PATCHES[name][:2], 6)
    x = torch.rand(2, channels + classes, *levels.patch)
    widths = [4] * 6
    assert UNet(channels + classes, channels, widths, levels)(x).shape == (2, channels, *levels.patch)
    image, m = x.split([channels, classes], dim=1)
    visible = torch.ones(2, 1, *levels.patch)
    verdict = DualHead(channels + classes, widths, levels, 4)(image, m, visible)
    assert verdict.places[0].shape[:2] == (2, 1)
    assert verdict.places[0][0, 0].numel() > 1
    assert verdict.whole.shape == (2, 1)
    features = [torch.rand(2, 6, *levels.patch), torch.rand(2, 8, *(size // 2 for size in levels.patch))]
    verdict = FeatureHeads(channels, classes, (6, 8), 5)(image, m, visible, features)
    sizes = [levels.patch, levels.patch, tuple(size // 2 for size in levels.patch)]
    assert [tuple(places.shape[2:]) for places in verdict.places] == sizes
    assert [tuple(seen.shape[2:]) for seen in verdict.visible] == sizes
    assert (verdict.whole.shape, verdict.scores().shape) == ((2, 1), (2,))


def test_six_levels_at_full_size():
    """Five halvings: 4 voxels at the bottom; the tap after four of them sees 8."""
    levels = Levels.of((128, 128, 128), (1.0, 1.0, 1.0), 6)
    network = UNet(2, 1, [2] * 6, levels)
    bottoms = []
    network.encoder.stages[-1].register_forward_hook(lambda *given: bottoms.append(given[2].shape[2:]))
    with torch.no_grad():
        assert network(torch.rand(1, 2, 128, 128, 128)).shape == (1, 1, 128, 128, 128)
        volume = torch.rand(1, 1, 128, 128, 128)
        patches = [DualHead(2, [2] * 5, levels, tap)(volume, volume, volume).places[0] for tap in (4, 5)]
    assert bottoms == [(4, 4, 4)]
    assert [found.shape[2:] for found in patches] == [(8, 8, 8), (4, 4, 4)]


def test_no_transposed_convolution():
    network = UNet(2, 1, [4] * 4, Levels.of((32, 32, 32), (1.0, 1.0, 1.0), 4))
    assert not any(isinstance(module, nn.ConvTranspose3d) for module in network.modules())
    assert sum(isinstance(module, nn.Upsample) and module.mode == "nearest" for module in network.modules()) == 3


def test_the_heads_share_their_encoder():
    levels = Levels.of((16, 16, 16), (1.0, 1.0, 1.0), 3)
    network, volume = DualHead(2, [4, 8], levels, 4), torch.rand(1, 1, 16, 16, 16)
    verdict = network(volume, volume, volume)
    first = next(network.stages.parameters())
    for head in (verdict.places[0].mean(), verdict.whole.mean()):
        (slope,) = torch.autograd.grad(head, first, retain_graph=True)
        assert slope.abs().sum() > 0


def discriminators() -> dict[str, tuple[nn.Module, list[torch.Tensor]]]:
    torch.manual_seed(0)
    levels = Levels.of((16, 16, 16), (1.0, 1.0, 1.0), 3)
    features = [torch.rand(1, 4, 16, 16, 16), torch.rand(1, 6, 8, 8, 8)]
    return {"image": (DualHead(2, [4, 8], levels, 4), []), "features": (FeatureHeads(1, 1, (4, 6), 5), features)}


@pytest.mark.parametrize("kind", ["image", "features"])
def test_averages_count_visible_places_only(kind):
    """The global head's are of features at visible places; so the same, however much darkness there is beside."""
    network, features = discriminators()[kind]
    x, m, visible = torch.rand(1, 1, 16, 16, 16), torch.rand(1, 1, 16, 16, 16), torch.zeros(1, 1, 16, 16, 16)
    visible[..., 4:8, 4:8, 4:8] = 1
    hidden: list[torch.Tensor] = []
    network.whole.register_forward_pre_hook(lambda _, given: hidden.append(given[0]))  # type: ignore[union-attr]
    stage = network.stages[-1] if kind == "image" else network.branches[1]  # type: ignore[index,operator,union-attr]
    outputs: list[torch.Tensor] = []
    stage.register_forward_hook(lambda *given: outputs.append(given[2]))  # type: ignore[union-attr]
    network(x, m, visible, features)
    step = 16 // outputs[0].shape[-1]
    seen = outputs[0][..., 4 // step : 8 // step, 4 // step : 8 // step, 4 // step : 8 // step].flatten(2)
    width = outputs[0].shape[1]
    found = hidden[0] if kind == "image" else hidden[0][:, 2 * width : 4 * width]
    torch.testing.assert_close(found[:, :width], seen.mean(dim=2))
    if kind == "features":
        torch.testing.assert_close(found[:, width:], seen.std(dim=2, correction=0), rtol=1e-3, atol=1e-3)
