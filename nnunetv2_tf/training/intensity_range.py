"""Intensities as TF-GAN's networks see them. In: images as nnU-Net normalises, called z. Out: the same in [-1, 1].

Each channel has one affine map, the same for all cases.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from nnunetv2_tf.working_space.stored import Case

PERCENTILES = (0.5, 99.5)  # of the intensities in real cases' bodies, tumours included: they become -1 and 1
SOME = 20_000  # voxels that are sampled from each case
DARKEST = -1.0  # the value outside the body


@dataclass(frozen=True)
class IntensityRange:
    """The z that become -1 and 1, by channel. Values beyond them come to lie beyond [-1, 1]; nothing is clipped."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def of(cls, cases: Sequence[Case]) -> "IntensityRange":
        """Return the range of training cases, each with the same weight."""
        values = []
        for case in (case.open() for case in cases):
            in_body = case.image()[:, case.body()]
            values.append(in_body[:, np.linspace(0, in_body.shape[1] - 1, SOME).astype(int)])
        low, high = np.percentile(np.concatenate(values, axis=1), PERCENTILES, axis=1)
        high = np.maximum(high, low + 1e-3)
        return cls(tuple(low.tolist()), tuple(high.tolist()))

    def normalise(self, z: Tensor, body: Tensor) -> Tensor:
        """Return z (B, C, Z, Y, X) in [-1, 1]; -1 outside the body (B, Z, Y, X)."""
        middle, half = _middle_and_half(self, z.dtype, z.device)
        return torch.where(body[:, None], (z - middle) / half, torch.full_like(z, DARKEST))

    def denormalise(self, x: Tensor) -> Tensor:
        """Return values (B, C, Z, Y, X) in [-1, 1] as z."""
        middle, half = _middle_and_half(self, x.dtype, x.device)
        return x * half + middle

    def denormalise_difference(self, x: Tensor) -> Tensor:
        """Return a difference of values in [-1, 1] as a difference in z."""
        return x * _middle_and_half(self, x.dtype, x.device)[1]


@cache
def _middle_and_half(span: IntensityRange, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the range's middle and half its width, (1, C, 1, 1, 1); cached, since copies make a GPU wait."""
    low, high = (torch.tensor(ends, dtype=dtype).reshape(1, -1, 1, 1, 1) for ends in (span.low, span.high))
    return ((low + high) / 2).to(device), ((high - low) / 2).to(device)
