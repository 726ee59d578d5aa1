"""Class-wise features. In: feature maps and labels. Out: the mean feature of each class, and how far two are apart.

The same for stage 1 and for the perceptual loss (Eq. 3). A class's mask is averaged down to a feature map's resolution,
so that a class of one voxel still weighs something; the nearest voxel of every block would lose it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool3d


def class_means(features: Sequence[Tensor], label: Tensor, classes: Sequence[int]) -> tuple[list[Tensor], Tensor]:
    """The mean feature of each class, weighted by its share of each voxel.

    Args:
        features: (B, F, z, y, x) per stage
        label: (B, Z, Y, X)
        classes: label values, K of them

    Returns:
        (B, K, F) per stage, 0 for classes that are not there; and (B, K) bool, which are
    """
    masks = torch.stack([label == value for value in classes], dim=1)
    means = []
    for feature in features:
        share = adaptive_avg_pool3d(masks.to(feature.dtype), feature.shape[2:])  # pyright: ignore[reportArgumentType]
        total = share.sum(dim=(2, 3, 4))[..., None]
        means.append(torch.einsum("bkzyx,bfzyx->bkf", share, feature) / total.clamp_min(1e-12))
    return means, masks.any(dim=(2, 3, 4))


def class_distance(ours: Sequence[Tensor], theirs: Sequence[Tensor], present: Tensor) -> Tensor:
    """(B,) mean L1 distance over features, then over stages and the classes that both have; 0 where there is none.

    Args:
        ours: (B, K, F) per stage
        theirs: the same, or (K, F), broadcast
        present: (B, K) bool: classes to compare
    """
    apart = torch.stack([(one - other).abs().mean(dim=-1) for one, other in zip(ours, theirs, strict=True)])
    weight = present.to(apart.dtype)
    return (apart.mean(dim=0) * weight).sum(dim=1) / weight.sum(dim=1).clamp_min(1)
