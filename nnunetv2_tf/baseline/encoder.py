"""F of the paper: the first stages of a baseline's encoder, frozen. In: images as nnU-Net normalises. Out: features.

Gradients reach the image, never the encoder.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor, nn

from nnunetv2_tf.baseline.checkpoint import Baseline
from nnunetv2_tf.io.errors import UserError

STAGES = 3
MULTIPLE = 8  # residual encoders need sizes that their strides divide


class Encoder(nn.Module):
    """The first stages of an nnU-Net's encoder, with the stem where there is one."""

    def __init__(self, stem: nn.Module | None, stages: Sequence[nn.Module]) -> None:
        super().__init__()
        self.stem = nn.Identity() if stem is None else stem
        self.stages = nn.ModuleList(stages)
        self.requires_grad_(False)
        self.eval()

    @classmethod
    def of(cls, baseline: Baseline) -> "Encoder":
        """Return the encoder of a trained model."""
        return cls.within(baseline.network(), str(baseline.path))

    @classmethod
    def within(cls, network: nn.Module, where: str) -> "Encoder":
        """Return the encoder of a network; raise when it has none in stages. `where`: begins the error message."""
        encoder = cast(Any, getattr(network, "encoder", None))
        stages = getattr(encoder, "stages", ())
        if len(stages) < STAGES:
            raise UserError(
                f"{where}: {type(network).__name__} has no encoder of {STAGES} stages or more, as nnU-Net's plain and "
                "residual-encoder U-Nets have; use plans with one of them."
            )
        if encoder.conv_op is not nn.Conv3d:
            raise UserError(f"{where} segments slices; take a 3D configuration.")
        return cls(getattr(encoder, "stem", None), list(stages)[:STAGES])

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """How many features each stage has."""
        first = next(module for module in self.modules() if isinstance(module, nn.Conv3d))
        with torch.no_grad():
            stages = self(first.weight.new_zeros(1, first.in_channels, *(2 * MULTIPLE,) * 3))
        return tuple(stage.shape[1] for stage in stages)

    def train(self, mode: bool = True) -> "Encoder":  # noqa: ARG002 (torch's signature)
        """Keep the encoder in evaluation mode, also when a module that it is a part of goes into training mode."""
        return super().train(False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the features of an image (B, C, Z, Y, X), one (B, F, z, y, x) per stage."""
        features = []
        x = self.stem(image)
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


def crop_size(patch: Sequence[int], multiple: int = MULTIPLE) -> tuple[int, ...]:
    """Return the plans' patch size, rounded up to what every encoder accepts."""
    return tuple(-(-int(size) // multiple) * multiple for size in patch)


def renormalised(
    edited: Tensor,
    host: Tensor,
    n_norm: Sequence[int] | Tensor,
    inside: Tensor,
    z_scored: Sequence[bool] | Tensor,
    beyond: Tensor | None = None,
) -> Tensor:
    """Return an edited image as nnU-Net will normalise the finished case; differentiable.

    nnU-Net z-scores a case over its body, and a tumour changes mean and sd there. The host is z-scored; with n voxels
    mean' = sum(x' - x) / n and E[x'^2] = 1 + sum(x'^2 - x^2) / n; the sums are over the part of the case that is given
    and, by `beyond`, over the rest.

    Args:
        edited: (B, C, Z, Y, X)
        host: (B, C, Z, Y, X), the image before the edit
        n_norm: voxels that each whole case is normalised over
        inside: (B, Z, Y, X) bool: where it is normalised
        z_scored: by channel; the normalisation of other channels does not depend on their values
        beyond: (B, 2, C) both sums over the rest of the case; None: nothing changes there
    """
    mean, sd = new_moments(edited, host, n_norm, inside, z_scored, beyond)
    normal = (edited - mean[..., None, None, None]) / sd[..., None, None, None]
    return torch.where(inside[:, None], normal, edited)


def new_moments(
    edited: Tensor,
    host: Tensor,
    n_norm: Sequence[int] | Tensor,
    inside: Tensor,
    z_scored: Sequence[bool] | Tensor,
    beyond: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return mean and sd, (B, C) each, by which edited images are normalised anew; 0 and 1 where not z-scored."""
    n = torch.as_tensor(n_norm, dtype=edited.dtype, device=edited.device)[:, None]
    change = torch.where(inside[:, None], edited - host, torch.zeros_like(host))
    sums = torch.stack([change.sum(dim=(2, 3, 4)), (change * (edited + host)).sum(dim=(2, 3, 4))], dim=1)
    mean, square = ((sums if beyond is None else sums + beyond) / n[:, None]).unbind(dim=1)
    square = 1 + square
    sd = (square - mean**2).clamp_min(1e-8).sqrt()
    scored = torch.as_tensor(z_scored, device=edited.device)[None]
    return torch.where(scored, mean, torch.zeros_like(mean)), torch.where(scored, sd, torch.ones_like(sd))
