"""Levels, the U-Net and the discriminator: shapes, and what they are made of."""

import pytest
import torch
from torch import nn

from nnunetv2_tf.networks.discriminators import DualHead
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
    for spectral in (True, False):
        patches, whole = DualHead(channels + classes, widths, levels, 4, spectral)(x)
        assert patches.shape[:2] == (2, 1)
        assert patches[0, 0].numel() > 1
        assert whole.shape == (2, 1)


def test_six_levels_at_full_size():
    """Five halvings: 4 voxels at the bottom; the tap after four of them sees 8."""
    levels = Levels.of((128, 128, 128), (1.0, 1.0, 1.0), 6)
    network = UNet(2, 1, [2] * 6, levels)
    bottoms = []
    network.encoder.stages[-1].register_forward_hook(lambda *given: bottoms.append(given[2].shape[2:]))
    with torch.no_grad():
        assert network(torch.rand(1, 2, 128, 128, 128)).shape == (1, 1, 128, 128, 128)
        patches = [DualHead(2, [2] * 5, levels, tap, False)(torch.rand(1, 2, 128, 128, 128))[0] for tap in (4, 5)]
    assert bottoms == [(4, 4, 4)]
    assert [found.shape[2:] for found in patches] == [(8, 8, 8), (4, 4, 4)]


def test_no_transposed_convolution():
    network = UNet(2, 1, [4] * 4, Levels.of((32, 32, 32), (1.0, 1.0, 1.0), 4))
    assert not any(isinstance(module, nn.ConvTranspose3d) for module in network.modules())
    assert sum(isinstance(module, nn.Upsample) and module.mode == "nearest" for module in network.modules()) == 3


def test_spectral_weights_stretch_nothing_by_more_than_one():
    levels = Levels.of((16, 16, 16), (1.0, 1.0, 1.0), 3)
    network = DualHead(2, [4, 8], levels, 4, spectral=True)
    for _ in range(50):  # its estimate grows better with every use
        network(torch.rand(1, 2, 16, 16, 16))
    for module in network.modules():
        if isinstance(module, (nn.Conv3d, nn.Linear)):
            assert float(torch.linalg.matrix_norm(module.weight.detach().flatten(1), 2)) == pytest.approx(1, abs=0.02)


def test_the_heads_share_their_encoder():
    levels = Levels.of((16, 16, 16), (1.0, 1.0, 1.0), 3)
    network = DualHead(1, [4, 8], levels, 4, spectral=False)
    patches, whole = network(torch.rand(1, 1, 16, 16, 16))
    first = next(network.stages.parameters())
    for head in (patches.mean(), whole.mean()):
        (slope,) = torch.autograd.grad(head, first, retain_graph=True)
        assert slope.abs().sum() > 0
