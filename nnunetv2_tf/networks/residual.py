"""Residual blocks, with which autoencoders and diffusion models are built. In and out: volumes (B, F, Z, Y, X)."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from math import gcd, log

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, silu

GROUPS = 8  # of a norm's features, at the most
SLOWEST = 10_000.0  # period of the slowest wave of a time, over that of the fastest


class ResidualBlock(nn.Module):
    """Two convolutions, each after a norm and a SiLU, beside a shortcut; a time may scale and shift what is between.

    Nothing normalises the way over shortcuts, so that how bright things are is not lost.
    """

    def __init__(self, wide: int, wider: int, kernel: Sequence[int], time: int = 0) -> None:
        super().__init__()
        self.first, self.second = convolved(wide, wider, kernel), convolved(wider, wider, kernel)
        self.norms = nn.ModuleList([_norm(wide), _norm(wider)])
        self.shortcut = nn.Identity() if wide == wider else nn.Conv3d(wide, wider, 1)
        self.of_time = nn.Linear(time, 2 * wider) if time else None

    def forward(self, x: Tensor, time: Tensor | None = None) -> Tensor:
        """Return (B, F', Z, Y, X), of x and, where it has one, a time's features (B, T)."""
        between = self.norms[1](self.first(silu(self.norms[0](x))))
        if self.of_time is not None and time is not None:
            scale, shift = self.of_time(silu(time))[..., None, None, None].chunk(2, dim=1)
            between = between * (1 + scale) + shift
        return self.shortcut(x) + self.second(silu(between))


class Down(nn.Conv3d):
    """A convolution with a stride."""

    def __init__(self, wide: int, wider: int, kernel: Sequence[int], stride: Sequence[int]) -> None:
        super().__init__(wide, wider, _three(kernel), _three(stride), _three([size // 2 for size in kernel]))


class Up(nn.Module):
    """Repeats voxels, then convolves: transposed convolutions leave checkerboards."""

    def __init__(self, wide: int, narrow: int, kernel: Sequence[int], stride: Sequence[int]) -> None:
        super().__init__()
        self.stride = tuple(float(step) for step in stride)
        self.convolve = convolved(wide, narrow, kernel)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, F', Z', Y', X')."""
        with without_autocast(x):  # which would turn it into float32
            x = interpolate(x, scale_factor=self.stride, mode="nearest")
        return self.convolve(x)


class TimeFeatures(nn.Module):
    """Turns times into features: waves of many periods, then two layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.layers = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t: Tensor) -> Tensor:
        """Return (B, width) of times (B,)."""
        half = self.width // 2
        rates = torch.exp(-log(SLOWEST) * torch.arange(half, device=t.device) / max(half - 1, 1))
        phase = t[:, None].float() * rates
        return self.layers(torch.cat([phase.sin(), phase.cos()], dim=1))


def without_autocast(x: Tensor) -> AbstractContextManager:
    """Return a context in which autocast does nothing; tensors without values know none."""
    kind = x.device.type
    return torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()


def convolved(wide: int, wider: int, kernel: Sequence[int]) -> nn.Conv3d:
    """Return a convolution that keeps the size."""
    return nn.Conv3d(wide, wider, _three(kernel), padding=_three([size // 2 for size in kernel]))


def _three(sizes: Sequence[int]) -> tuple[int, int, int]:
    z, y, x = sizes
    return z, y, x


def _norm(features: int) -> nn.GroupNorm:
    return nn.GroupNorm(gcd(GROUPS, features), features)
