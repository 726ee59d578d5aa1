"""The network of a diffusion model. In: a noisy latent, what is known beside it, a time. Out: what was asked for."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nnunetv2_tf.networks.levels import Levels
from nnunetv2_tf.networks.residual import Down, ResidualBlock, TimeFeatures, Up, convolved

WIDTH = 4  # features of a time, over those of the finest level


class Denoiser(nn.Module):
    """A U-Net of residual blocks that knows the time; volumes may have any size that the strides divide."""

    def __init__(self, channels_in: int, channels_out: int, features: Sequence[int], levels: Levels) -> None:
        super().__init__()
        widths, kernels, strides = features[: levels.number], levels.kernels, levels.strides
        time = WIDTH * widths[0]
        self.time = TimeFeatures(time)
        self.first = convolved(channels_in, widths[0], kernels[0])  # before any norm, which would mix what goes in
        self.finest = ResidualBlock(widths[0], widths[0], kernels[0], time)
        self.downs, self.ways_down = nn.ModuleList(), nn.ModuleList()
        self.ups, self.ways_up = nn.ModuleList(), nn.ModuleList()
        for level in range(1, levels.number):
            wide, wider = widths[level - 1], widths[level]
            self.downs.append(Down(wide, wider, kernels[level], strides[level]))
            self.ways_down.append(ResidualBlock(wider, wider, kernels[level], time))
            self.ups.insert(0, Up(wider, wide, kernels[level - 1], strides[level]))
            self.ways_up.insert(0, ResidualBlock(2 * wide, wide, kernels[level - 1], time))
        self.head = nn.Sequential(nn.SiLU(), nn.Conv3d(widths[0], channels_out, 1))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Return (B, channels_out, z, y, x) of volumes (B, channels_in, z, y, x) and times (B,)."""
        time = self.time(t)
        x = self.finest(self.first(x), time)
        skips = [x]
        for down, way in zip(self.downs, self.ways_down, strict=True):
            x = way(down(x), time)
            skips.append(x)
        skips.pop()
        for up, way in zip(self.ups, self.ways_up, strict=True):
            x = way(torch.cat([up(x), skips.pop()], dim=1), time)
        return self.head(x).float()
