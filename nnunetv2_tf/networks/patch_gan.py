"""The discriminator of pix2pix. In: a condition, if any, and an image. Out: patches' logits, positive for real ones."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

SLOPE = 0.2  # of the leaky rectifiers
STAGES = 3  # strided ones: with them a logit sees 70 voxels
SMALLEST = 8  # voxels along an axis, below which no stage halves it


class PatchGAN(nn.Module):
    """Convolutions of four voxels: strided ones of 1, 2, 4 times a width, then two that are not strided.

    All but the first and the last are followed by an instance norm. Where a patch is too small for three stages there
    are fewer.
    """

    def __init__(self, channels: int, width: int, patch: Sequence[int]) -> None:
        super().__init__()
        halved = sum(min(patch) // 2**stage >= SMALLEST for stage in range(STAGES))
        widths = [channels, *(width * 2**stage for stage in range(halved + 1))]
        layers: list[nn.Module] = []
        for number, (wide, wider) in enumerate(pairwise(widths)):
            strided, normed = number < halved, number > 0
            layers.append(nn.Conv3d(wide, wider, 4, 2 if strided else 1, padding=1, bias=not normed))
            layers += [nn.InstanceNorm3d(wider, affine=True)] if normed else []
            layers.append(nn.LeakyReLU(SLOPE))
        self.layers = nn.Sequential(*layers, nn.Conv3d(widths[-1], 1, 4, padding=1))
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.normal_(module.weight, 0.0, 0.02)

    def forward(self, condition: Tensor, x: Tensor) -> Tensor:
        """Return (B, 1, z, y, x) logits.

        Args:
            condition: (B, M, Z, Y, X)
            x: (B, C, Z, Y, X) images in [-1, 1]
        """
        return self.layers(torch.cat([condition, x], dim=1)).float()

    def stages(self, condition: Tensor, x: Tensor) -> list[Tensor]:
        """Return what each stage puts out, the logits last."""
        found, y = [], torch.cat([condition, x], dim=1)
        for layer in self.layers:
            y = layer(y)
            if isinstance(layer, nn.LeakyReLU):
                found.append(y.float())
        return [*found, y.float()]
