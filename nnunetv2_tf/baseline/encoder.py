"""F of the paper: the first stages of a baseline's encoder, frozen. In: images as nnU-Net normalises. Out: features.

Gradients reach the image, never the encoder.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from nnunetv2_tf.baseline.checkpoint import Baseline
from nnunetv2_tf.errors import UserError

STAGES = 3


class Encoder(nn.Module):
    """The stem, where there is one, and the first stages."""

    def __init__(self, stem: nn.Module | None, stages: Sequence[nn.Module]) -> None:
        super().__init__()
        self.stem = nn.Identity() if stem is None else stem
        self.stages = nn.ModuleList(stages)
        self.requires_grad_(False)
        self.eval()

    @classmethod
    def of(cls, baseline: Baseline) -> "Encoder":
        """A trained model's."""
        return cls.within(baseline.network(), str(baseline.path))

    @classmethod
    def within(cls, network: nn.Module, where: str) -> "Encoder":
        """A network's; raises for those that have no encoder in stages."""
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

    def train(self, mode: bool = True) -> "Encoder":  # noqa: ARG002 (torch's signature)
        """Stays as it was trained, whatever it becomes a part of."""
        return super().train(False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, C, Z, Y, X) to one (B, F, z, y, x) per stage."""
        features = []
        x = self.stem(image)
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


def renormalised(
    edited: Tensor,
    host: Tensor,
    n_norm: Sequence[int] | Tensor,
    inside: Tensor,
    z_scored: Sequence[bool] | Tensor,
    beyond: Tensor | None = None,
) -> Tensor:
    """An edited image as nnU-Net will normalise the finished case; differentiable.

    nnU-Net z-scores a case over its body, and a tumour changes mean and sd there. The host is z-scored; with n voxels
    mean' = sum(x' - x) / n and E[x'^2] = 1 + sum(x'^2 - x^2) / n, sums over the part of the case that is given, and
    what is known of the rest.

    Args:
        edited: (B, C, Z, Y, X)
        host: (B, C, Z, Y, X), what it was
        n_norm: voxels that each whole case is normalised over
        inside: (B, Z, Y, X) bool: where it is normalised
        z_scored: by channel; others are normalised the same whatever they show
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
    """(B, C) each: mean and sd by which edited images are normalised anew; 0 and 1 where they are not z-scored."""
    n = torch.as_tensor(n_norm, dtype=edited.dtype, device=edited.device)[:, None]
    change = torch.where(inside[:, None], edited - host, torch.zeros_like(host))
    sums = torch.stack([change.sum(dim=(2, 3, 4)), (change * (edited + host)).sum(dim=(2, 3, 4))], dim=1)
    mean, square = ((sums if beyond is None else sums + beyond) / n[:, None]).unbind(dim=1)
    square = 1 + square
    sd = (square - mean**2).clamp_min(1e-8).sqrt()
    scored = torch.as_tensor(z_scored, device=edited.device)[None]
    return torch.where(scored, mean, torch.zeros_like(mean)), torch.where(scored, sd, torch.ones_like(sd))
