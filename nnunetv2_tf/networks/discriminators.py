"""A discriminator of patches and of whole images. In: an image and its conditions, concatenated. Out: logits.

Logits are positive for real. Two heads share one encoder: the local head is a PatchGAN's, the global head averages over
the image and then decides.
"""

from collections.abc import Sequence
from typing import Any, cast

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from nnunetv2_tf.networks.levels import Levels

SLOPE = 0.2  # of the leaky rectifiers, as in pix2pix


class DualHead(nn.Module):
    """Strided convolutions, one for each level below the first, with a local and a global head."""

    def __init__(self, channels: int, features: Sequence[int], levels: Levels, tap: int, spectral: bool) -> None:
        """Build the network.

        Args:
            channels: number in the input
            features: number after each stage
            levels: give the strides of the stages
            tap: the stage, counted from 1, whose output the local head gets; with fewer stages, the last
            spectral: normalise weights by their largest singular value, instead of features by instance
        """
        super().__init__()
        strides = levels.strides[1:]
        widths = [channels, *features[: len(strides)]]
        self.stages = nn.ModuleList()
        for number, stride in enumerate(strides):
            kernel: Any = tuple(4 if step == 2 else 3 for step in stride)
            normed = bool(number) and not spectral
            convolution = nn.Conv3d(
                widths[number], widths[number + 1], kernel, cast(Any, stride), padding=1, bias=not normed
            )  # fmt: skip
            norm = nn.InstanceNorm3d(widths[number + 1], affine=True) if normed else nn.Identity()
            self.stages.append(
                nn.Sequential(spectral_norm(convolution) if spectral else convolution, norm, nn.LeakyReLU(SLOPE))
            )
        self.tap = min(tap, len(strides))
        local, whole = nn.Conv3d(widths[self.tap], 1, 3, padding=1), nn.Linear(widths[-1], 1)
        self.local = spectral_norm(local) if spectral else local
        self.whole = spectral_norm(whole) if spectral else whole

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of (B, C, Z, Y, X): of patches (B, 1, z, y, x), and of images (B, 1)."""
        patches = None
        for number, stage in enumerate(self.stages, start=1):
            x = stage(x)
            if number == self.tap:
                patches = self.local(x)
        assert patches is not None
        return patches, self.whole(x.mean(dim=(2, 3, 4)))
