"""A U-Net without transposed convolutions, which leave checkerboards. In: volumes. Out: volumes of the same size.

It upsamples by repeating voxels and then convolving.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from dynamic_network_architectures.building_blocks.plain_conv_encoder import PlainConvEncoder
from dynamic_network_architectures.building_blocks.simple_conv_blocks import StackedConvBlocks
from torch import Tensor, nn

from nnunetv2_tf.networks.levels import Levels

CONVOLUTIONS = 2  # per level, on the way down and on the way up


class UNet(nn.Module):
    """nnU-Net's U-Net with another upsampling; volumes may have any size that the strides divide."""

    def __init__(self, channels_in: int, channels_out: int, features: Sequence[int], levels: Levels) -> None:
        super().__init__()
        widths = list(features[: levels.number])
        kernels, strides = cast(Any, levels.kernels), cast(Any, levels.strides)
        self.encoder = PlainConvEncoder(
            channels_in, levels.number, widths, nn.Conv3d, kernels, strides,
            CONVOLUTIONS, return_skips=True, **_STYLE,
        )  # fmt: skip
        self.ups, self.blocks = nn.ModuleList(), nn.ModuleList()
        for level in range(levels.number - 1, 0, -1):
            above, kernel = widths[level - 1], levels.kernels[level - 1]
            self.ups.append(_Up(widths[level], above, kernel, levels.strides[level]))
            self.blocks.append(StackedConvBlocks(CONVOLUTIONS, nn.Conv3d, 2 * above, above, kernel, 1, **_STYLE))
        self.head = nn.Conv3d(widths[0], channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, channels_out, Z, Y, X), without a final nonlinearity, of volumes (B, C, Z, Y, X)."""
        *skips, x = self.encoder(x)
        for up, block, skip in zip(self.ups, self.blocks, reversed(skips), strict=True):
            x = block(torch.cat([up(x), skip], dim=1))
        return self.head(x)


class _Nearest(nn.Upsample):
    """Upsampling that repeats voxels in the data type they have, where autocast would turn them into float32."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's signature)
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input)


class _Up(nn.Sequential):
    """Upsampling by the stride, then a convolution."""

    def __init__(self, wide: int, narrow: int, kernel: Sequence[int], stride: Sequence[int]) -> None:
        super().__init__(
            _Nearest(scale_factor=tuple(float(step) for step in stride), mode="nearest"),
            StackedConvBlocks(1, nn.Conv3d, wide, narrow, tuple(kernel), 1, **_STYLE),
        )


_STYLE = {
    "conv_bias": False,  # instance norm would subtract it
    "norm_op": nn.InstanceNorm3d,
    "norm_op_kwargs": {"eps": 1e-5, "affine": True},
    "nonlin": nn.LeakyReLU,
    "nonlin_kwargs": {"inplace": True},
}
