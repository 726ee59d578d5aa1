"""Class-wise features. In: images or feature maps, and tumour maps. Out: mean features of each class, and distances.

Stage 1 and the perceptual loss (Eq. 3) both use them. A class's mask is average-pooled to a feature map's resolution,
so that a class of one voxel still has some weight; nearest-neighbour sampling would lose it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool3d

from nnunetv2_tf.baseline.encoder import Encoder
from nnunetv2_tf.geometry.boxes import centre_of, cut


@dataclass(frozen=True)
class Features:
    """Mean features of each class."""

    means: list[Tensor]  # (B, K, F) per stage
    present: Tensor  # (B, K) bool

    @classmethod
    def joined(cls, batches: Sequence["Features"]) -> "Features":
        """Return the features of all batches as one batch."""
        stages = zip(*(batch.means for batch in batches), strict=True)
        return cls([torch.cat(stage) for stage in stages], torch.cat([batch.present for batch in batches]))

    def with_batch(self, places: np.ndarray, batch: "Features") -> "Features":
        """Return the features with `batch` in some places; its gradients count as if the batch were all cases."""
        index, share = torch.from_numpy(places).to(self.present.device), len(places) / len(self.present)
        means = []
        for whole, part in zip(self.means, batch.means, strict=True):
            felt = part.detach() + (part - part.detach()) / share  # the same value, but a larger gradient
            means.append(whole.index_copy(0, index, felt))
        return Features(means, self.present)

    def detached(self) -> "Features":
        """Return the features without gradients."""
        return Features([stage.detach() for stage in self.means], self.present)


def features_around(
    image: np.ndarray,
    tumour: np.ndarray,
    encoder: Encoder,
    classes: Sequence[int],
    size: Sequence[int],
    device: torch.device,
) -> Features:
    """Return the features of one case, in a patch around the middle of its tumour.

    Args:
        image: (C, Z, Y, X) as nnU-Net normalises
        tumour: (Z, Y, X) the map
        encoder: on the device
        classes: values of the map, K of them
        size: of the patch
        device: where to work
    """
    centre = centre_of(tumour)
    seen, label = (torch.from_numpy(cut(volume, centre, size))[None].to(device) for volume in (image, tumour))
    with torch.no_grad():
        return Features(*class_means(encoder(seen), label, classes))


def mean_features(features: Features) -> Features:
    """Return the mean of each class over the cases that have it."""
    weight = features.present.float() / features.present.sum(dim=0).clamp_min(1)
    means = [torch.einsum("bk,bkf->kf", weight, stage)[None] for stage in features.means]
    return Features(means, features.present.any(dim=0)[None])


def class_masks(label: Tensor, classes: Sequence[int]) -> Tensor:
    """Return (B, K, Z, Y, X) bool: a channel for each class of a map (B, Z, Y, X)."""
    return torch.stack([label == value for value in classes], dim=1)


def pooled_to(weights: Tensor, feature: Tensor) -> Tensor:
    """Return weights (B, K, Z, Y, X), averaged to the size of a feature map (B, F, z, y, x)."""
    size: Any = tuple(feature.shape[2:])
    return weights if tuple(weights.shape[2:]) == size else adaptive_avg_pool3d(weights, size)


def class_means(features: Sequence[Tensor], label: Tensor, classes: Sequence[int]) -> tuple[list[Tensor], Tensor]:
    """Return the mean feature of each class; voxels are weighted by the class's share of them.

    Args:
        features: (B, F, z, y, x) per stage
        label: (B, Z, Y, X)
        classes: label values, K of them

    Returns:
        (B, K, F) per stage, 0 for classes that are not there; and (B, K) bool, which are
    """
    masks = class_masks(label, classes)
    means = []
    for feature in features:
        share = pooled_to(masks.to(feature.dtype), feature)
        total = share.sum(dim=(2, 3, 4))[..., None]
        means.append(torch.einsum("bkzyx,bfzyx->bkf", share, feature) / total.clamp_min(1e-12))
    return means, masks.any(dim=(2, 3, 4))


def class_distance(means: Sequence[Tensor], others: Sequence[Tensor], present: Tensor) -> Tensor:
    """Return (B,): the mean L1 distance over features, then over stages and classes that both have; 0 without any.

    Args:
        means: (B, K, F) per stage
        others: the same, or (K, F), broadcast
        present: (B, K) bool: classes to compare
    """
    apart = torch.stack([(mean - other).abs().mean(dim=-1) for mean, other in zip(means, others, strict=True)])
    weight = present.to(apart.dtype)
    return (apart.mean(dim=0) * weight).sum(dim=1) / weight.sum(dim=1).clamp_min(1)
