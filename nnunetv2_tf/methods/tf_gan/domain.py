"""[-1, 1], where TF-GAN works, and z, where everything else does. One affine map per channel, for all cases."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from torch import Tensor

from nnunetv2_tf.preparation.stored import Case

PERCENTILES = (0.5, 99.5)  # of the bodies of real cases, tumours included: they become -1 and 1
SOME = 20_000  # voxels of each case
DARKEST = -1.0  # what is not body


@dataclass(frozen=True)
class Domain:
    """The ends of the range, in z, by channel. Beyond them values go on; nothing is cut off."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def of(cls, cases: Sequence[Case]) -> "Domain":
        """From training cases, each with the same weight."""
        values = []
        for case in map(replace, cases):
            own = case.image()[:, case.body()]
            values.append(own[:, np.linspace(0, own.shape[1] - 1, SOME).astype(int)])
        low, high = np.percentile(np.concatenate(values, axis=1), PERCENTILES, axis=1)
        high = np.maximum(high, low + 1e-3)
        return cls(tuple(low.tolist()), tuple(high.tolist()))

    def into(self, z: Tensor, body: Tensor) -> Tensor:
        """(B, C, Z, Y, X) z to [-1, 1]; -1 where there is no body (B, Z, Y, X)."""
        middle, half = _parts(self, z.dtype, z.device)
        return torch.where(body[:, None], (z - middle) / half, torch.full_like(z, DARKEST))

    def change(self, x: Tensor) -> Tensor:
        """A difference in [-1, 1] as one in z."""
        return x * _parts(self, x.dtype, x.device)[1]


@cache
def _parts(domain: Domain, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Middle and half width, (1, C, 1, 1, 1); kept, since a copy to a GPU would wait for it at every step."""
    low, high = (torch.tensor(ends, dtype=dtype).reshape(1, -1, 1, 1, 1) for ends in (domain.low, domain.high))
    return ((low + high) / 2).to(device), ((high - low) / 2).to(device)
