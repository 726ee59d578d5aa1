"""Eq. 1: x_s' = x_h (1 - m_s) + I(B(x_h)) m_s. In: a healthy image and a tumour map. Out: the coarse image.

B blurs; I(x) = a x + b, with a and b for each class and channel. The map may be soft: a voxel then belongs in part to a
class, in part to another, in part to the host. Volumes are (C, Z, Y, X), z-scored; classes come as shares (K, Z, Y, X).
"""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

TRUNCATE = 4.0  # standard deviations that a Gaussian reaches


def coarse(x_h: Tensor, blurred: Tensor, shares: Tensor, a: Tensor, b: Tensor, grain: float = 0.0) -> Tensor:
    """x_s'. Takes batches too, and passes gradients to a and b.

    Args:
        x_h: (..., C, Z, Y, X) the host
        blurred: (..., C, Z, Y, X) B(x_h)
        shares: (..., K, Z, Y, X) m_s, how much of each voxel is which class
        a: (K, C)
        b: (K, C)
        grain: share of the host's detail, x_h - B(x_h), that stays in the tumour; 0 in the paper
    """
    inside = shares.sum(dim=-4, keepdim=True)
    slope = torch.einsum("...kzyx,kc->...czyx", shares, a)
    offset = torch.einsum("...kzyx,kc->...czyx", shares, b)
    return x_h * (1 - inside) + slope * blurred + offset + grain * inside * (x_h - blurred)


def blur(image: np.ndarray, organ: np.ndarray | None, sigma: Sequence[float]) -> np.ndarray:
    """B: (C, Z, Y, X) float32, blurred; with an organ, of what is in the organ only.

    Without, the darkness around a brain would creep into tumours at its surface.

    Args:
        image: (C, Z, Y, X)
        organ: (Z, Y, X) bool, or None
        sigma: standard deviation in voxels, by axis
    """
    if organ is None:
        return np.stack([gaussian_filter(channel, sigma, truncate=TRUNCATE) for channel in image])
    weight = gaussian_filter(organ.astype(np.float32), sigma, truncate=TRUNCATE)
    summed = [gaussian_filter(np.where(organ, channel, 0), sigma, truncate=TRUNCATE) for channel in image]
    return np.stack([np.where(organ, one / np.maximum(weight, 1e-6), channel) for one, channel in
                     zip(summed, image, strict=True)])  # fmt: skip


def shares_of(tumour: np.ndarray, classes: Sequence[int], organ: np.ndarray, sigma: Sequence[float]) -> np.ndarray:
    """(K, Z, Y, X) float32: each class's share of each voxel, of what of it is in the organ.

    Args:
        tumour: (Z, Y, X) the map
        classes: its values
        organ: (Z, Y, X) bool
        sigma: standard deviation in voxels, by axis, of the soft edge; 0 for a hard one
    """
    masks = np.stack([tumour == value for value in classes]).astype(np.float32)
    if not any(sigma):
        return masks * organ
    inside = np.maximum(gaussian_filter(organ.astype(np.float32), sigma, truncate=TRUNCATE), 1e-6)
    return np.stack([gaussian_filter(mask, sigma, truncate=TRUNCATE) for mask in masks]) / inside * organ
