"""Eq. 1: x_s' = x_h (1 - m_s) + I(B(x_h)) m_s. In: a healthy image and a tumour map. Out: the coarse image.

B blurs; I(x) = a x + b, with a and b for each class and channel. The map may be soft: a voxel then belongs in part to a
class, in part to another, in part to the host. Volumes are (C, Z, Y, X), as nnU-Net normalises; classes come as shares
(K, Z, Y, X). Beyond the paper, detail may be added in a tumour: some of the host's, and its donor's texture.
"""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from nnunetv2_tf.working_space.blurring import TRUNCATE, blur


def coarse(x_h: Tensor, blurred: Tensor, shares: Tensor, a: Tensor, b: Tensor, detail: Tensor | None = None) -> Tensor:
    """Return the coarse image x_s', or a batch of them; gradients reach a and b.

    Args:
        x_h: (..., C, Z, Y, X) the host
        blurred: (..., C, Z, Y, X) B(x_h)
        shares: (..., K, Z, Y, X) m_s, how much of each voxel is which class
        a: (K, C)
        b: (K, C)
        detail: (..., C, Z, Y, X) what is added in the tumour; nothing in the paper
    """
    inside = shares.sum(dim=-4, keepdim=True)
    slope = torch.einsum("...kzyx,kc->...czyx", shares, a)
    offset = torch.einsum("...kzyx,kc->...czyx", shares, b)
    tumour = slope * blurred + offset
    return x_h * (1 - inside) + (tumour if detail is None else tumour + inside * detail)


def shares_of(tumour: np.ndarray, classes: Sequence[int], organ: np.ndarray, sigma: Sequence[float]) -> np.ndarray:
    """Return (K, Z, Y, X) float32: each class's share of each voxel; soft edges neither leave the organ nor fade at it.

    Args:
        tumour: (Z, Y, X) the map
        classes: values of the map, K of them
        organ: (Z, Y, X) bool
        sigma: standard deviation in voxels, by axis, of the soft edge; 0 for a hard one
    """
    masks = np.stack([tumour == value for value in classes]).astype(np.float32)
    if not any(sigma):
        return masks * organ
    inside = np.maximum(gaussian_filter(organ.astype(np.float32), sigma, truncate=TRUNCATE), 1e-6)
    return np.stack([gaussian_filter(mask, sigma, truncate=TRUNCATE) for mask in masks]) / inside * organ


def texture(image: np.ndarray, tumour: np.ndarray, sigma: Sequence[float]) -> np.ndarray:
    """Return (C, Z, Y, X) float32: how much lighter or darker a tumour is than its class's mean, blurred; 0 elsewhere.

    Args:
        image: (C, Z, Y, X)
        tumour: (Z, Y, X) the map, on the same grid
        sigma: standard deviation in voxels, by axis, of the blur, which removes noise
    """
    differs = np.zeros_like(image)
    for value in np.unique(tumour[tumour > 0]):
        mask = tumour == value
        differs[:, mask] = image[:, mask] - image[:, mask].mean(axis=1, keepdims=True)
    return np.where(tumour > 0, blur(differs, tumour > 0, sigma), 0)
