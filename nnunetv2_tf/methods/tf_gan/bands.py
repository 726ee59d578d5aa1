"""Bands of images: what is fine, what is coarser, and the rest. In: images, and where they count. Out: bands.

What does not count, as air or what is not shown, does not leak into its neighbours.
"""

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import avg_pool3d

BANDS = 3
LEAST = 1e-6  # weight of a place


def bands_of(x: Tensor, weights: Tensor) -> Tensor:
    """Return (B, 3 C, Z, Y, X): images in three bands, which add up to them.

    Args:
        x: (B, C, Z, Y, X)
        weights: (B, 1, Z, Y, X)
    """
    blurred = [x]
    for _ in range(BANDS - 1):
        smooth, weights = _blurred(blurred[-1], weights)
        blurred.append(smooth)
    return torch.cat([*(sharp - smooth for sharp, smooth in pairwise(blurred)), blurred[-1]], dim=1)


def fine_of(x: Tensor, weights: Tensor) -> Tensor:
    """Return the first of the bands alone, (B, C, Z, Y, X); arguments as of `bands_of`."""
    return x - _blurred(x, weights)[0]


def _blurred(x: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return weighted means over boxes of three voxels, and their weights."""
    weights = weights.clamp_min(LEAST)
    total = avg_pool3d(weights, 3, stride=1, padding=1)
    return avg_pool3d(x * weights, 3, stride=1, padding=1) / total, total
