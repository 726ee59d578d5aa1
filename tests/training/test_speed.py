"""Faster ways come to nearly the same."""

import pytest
import torch
from torch import nn

from nnunetv2_tf.training.speed import Speed, onto

CPU = torch.device("cpu")


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv3d(2, 8, 3, padding=1), nn.InstanceNorm3d(8), nn.LeakyReLU(), nn.Conv3d(8, 1, 3))


@pytest.mark.parametrize("speed", [Speed(), Speed(mixed=True), Speed(channels_last=True)])
def test_close_to_the_plain_one(speed):
    x = torch.rand(1, 2, 8, 8, 8)
    plain, ours = network(), speed.ready(speed.laid_out(network()))
    with speed.precision(CPU):
        found = ours(x)
    assert found.dtype == (torch.bfloat16 if speed.mixed else torch.float32)
    torch.testing.assert_close(found.float(), plain(x), atol=0.03 if speed.mixed else 1e-5, rtol=0)
    with speed.precision(CPU, exact=True):
        assert ours(x).dtype == torch.float32


def test_a_cpu_works_exactly(monkeypatch):
    monkeypatch.setenv("nnUNet_compile", "true")
    assert Speed.of(CPU) == Speed(mixed=False, compiled=False, channels_last=False)
    tensor = torch.ones(2)
    assert onto(tensor, CPU) is tensor


def test_convolutions_are_searched_for_within_a_step_only():
    before = torch.backends.cudnn.benchmark
    for speed, within in ((Speed(), before), (Speed(searched=True), True)):
        with speed.convolutions():
            assert torch.backends.cudnn.benchmark == within
        assert torch.backends.cudnn.benchmark == before
