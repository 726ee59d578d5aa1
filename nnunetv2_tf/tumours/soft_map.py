"""Soft tumour maps. In: a map. Out: how much of each voxel is which class, where edges are blurred."""

from collections.abc import Sequence

import numpy as np

from nnunetv2_tf.geometry.boxes import box_around
from nnunetv2_tf.geometry.separable import radius, smoothed


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
    shares = np.zeros_like(masks)
    for mask, share in zip(masks, shares, strict=True):
        if mask.any():
            near = box_around(mask > 0, [radius(width) for width in sigma])
            share[near] = smoothed(mask, sigma, near)
    return shares * (organ / np.maximum(smoothed(organ, sigma), 1e-6))
