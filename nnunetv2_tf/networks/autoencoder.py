"""An autoencoder of volumes. In: images in [-1, 1]. Out: latents, on a coarser grid, and images made of them again."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from torch import Tensor, nn

from nnunetv2_tf.networks.levels import Levels
from nnunetv2_tf.networks.quantiser import Quantiser
from nnunetv2_tf.networks.residual import Down, ResidualBlock, Up, convolved


class Autoencoder(nn.Module):
    """Residual blocks, with a convolution of the level's stride between levels; latents are at the coarsest one."""

    def __init__(self, channels: int, features: Sequence[int], latent: int, levels: Levels, codebook: int = 0) -> None:
        """Set up.

        Args:
            channels: of images
            features: of the levels, the finest first
            latent: channels of latents
            levels: how coarse they get
            codebook: vectors that latents are rounded to; 0: they stay as they are
        """
        super().__init__()
        widths, kernels, strides = features[: levels.number], levels.kernels, levels.strides
        down: list[nn.Module] = [convolved(channels, widths[0], kernels[0])]
        down.append(ResidualBlock(widths[0], widths[0], kernels[0]))
        for level, (wide, wider) in enumerate(pairwise(widths), start=1):
            down += [Down(wide, wider, kernels[level], strides[level]), ResidualBlock(wider, wider, kernels[level])]
        self.down = nn.Sequential(*down, nn.SiLU(), nn.Conv3d(widths[-1], latent, 1))
        up: list[nn.Module] = [convolved(latent, widths[-1], kernels[-1])]
        for level in range(len(widths) - 1, 0, -1):
            up += [ResidualBlock(widths[level], widths[level], kernels[level]) for _ in range(2)]
            up.append(Up(widths[level], widths[level - 1], kernels[level - 1], strides[level]))
        up.append(ResidualBlock(widths[0], widths[0], kernels[0]))
        self.up = nn.Sequential(*up, nn.SiLU(), nn.Conv3d(widths[0], channels, 1))
        self.quantiser = Quantiser(codebook, latent) if codebook else None

    def encode(self, x: Tensor) -> Tensor:
        """Return latents (B, L, z, y, x) of images (B, C, Z, Y, X) in [-1, 1], before any rounding."""
        return self.down(x).float()

    def decode(self, z: Tensor) -> Tensor:
        """Return images of latents, which are rounded to the codebook first, where there is one."""
        if self.quantiser is not None:
            z, _ = self.quantiser(z)
        return self.up(z).float()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor] | None]:
        """Return the image made again, latents before rounding, and rounded ones with the indices of their vectors."""
        z = self.encode(x)
        if self.quantiser is None:
            return self.up(z).float(), z, None
        on_codebook, index = self.quantiser(z)
        return self.up(on_codebook).float(), z, (on_codebook, index)


def strides_of(levels: Levels) -> tuple[int, int, int]:
    """Return how many voxels along each axis one voxel of the coarsest level stands for."""
    z, y, x = np.prod(np.array(levels.strides), axis=0).tolist()
    return z, y, x
