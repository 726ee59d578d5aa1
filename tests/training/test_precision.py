"""Faster ways come to nearly the same."""

import pytest
import torch
from torch import nn

from nnunetv2_tf.training.precision import Acceleration, to_device

CPU = torch.device("cpu")


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv3d(2, 8, 3, padding=1), nn.InstanceNorm3d(8), nn.LeakyReLU(), nn.Conv3d(8, 1, 3))


@pytest.mark.parametrize("acceleration", [Acceleration(), Acceleration(mixed=True), Acceleration(channels_last=True)])
def test_close_to_the_plain_one(acceleration):
    x = torch.rand(1, 2, 8, 8, 8)
    plain, ours = network(), acceleration.compiled_for_training(acceleration.with_memory_format(network()))
    with acceleration.autocast(CPU):
        found = ours(x)
    assert found.dtype == (torch.bfloat16 if acceleration.mixed else torch.float32)
    torch.testing.assert_close(found.float(), plain(x), atol=0.03 if acceleration.mixed else 1e-5, rtol=0)


@pytest.mark.parametrize("faster", [False, True])
def test_a_cpu_works_exactly_unless_it_is_faster_otherwise(monkeypatch, faster):
    monkeypatch.setenv("nnUNet_compile", "true")
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: faster, raising=False)
    assert Acceleration.of(CPU) == Acceleration(mixed=faster, compiled=False, channels_last=False)
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported")
    assert not Acceleration.of(CPU).mixed  # a torch that does not tell
    tensor = torch.ones(2)
    assert to_device(tensor, CPU) is tensor


def test_convolutions_are_searched_for_within_a_step_only():
    before = torch.backends.cudnn.benchmark
    for acceleration, within in ((Acceleration(), before), (Acceleration(searched=True), True)):
        with acceleration.cudnn_benchmark():
            assert torch.backends.cudnn.benchmark == within
        assert torch.backends.cudnn.benchmark == before
