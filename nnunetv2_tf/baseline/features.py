"""Class-wise features of patches. In: images, tumour maps, the encoder. Out: mean features, and means of those."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nnunetv2_tf.baseline.crops import cut, middle
from nnunetv2_tf.baseline.encoder import Encoder
from nnunetv2_tf.baseline.pooling import class_means


@dataclass(frozen=True)
class Features:
    """Mean features of each class."""

    means: list[Tensor]  # (B, K, F) per stage
    present: Tensor  # (B, K) bool

    @classmethod
    def joined(cls, several: Sequence["Features"]) -> "Features":
        """All of them in one."""
        stages = zip(*(one.means for one in several), strict=True)
        return cls([torch.cat(stage) for stage in stages], torch.cat([one.present for one in several]))

    def with_batch(self, places: np.ndarray, batch: "Features") -> "Features":
        """With others in some places, which pass gradients on as if they were all there is."""
        index, share = torch.from_numpy(places).to(self.present.device), len(places) / len(self.present)
        means = []
        for whole, part in zip(self.means, batch.means, strict=True):
            felt = part.detach() + (part - part.detach()) / share  # the same value, a steeper slope
            means.append(whole.index_copy(0, index, felt))
        return Features(means, self.present)

    def detached(self) -> "Features":
        """Without gradients."""
        return Features([stage.detach() for stage in self.means], self.present)


def features_around(
    image: np.ndarray,
    tumour: np.ndarray,
    encoder: Encoder,
    classes: Sequence[int],
    size: Sequence[int],
    device: torch.device,
) -> Features:
    """Features of one case, in a patch around the middle of its tumour.

    Args:
        image: (C, Z, Y, X) as nnU-Net normalises
        tumour: (Z, Y, X) the map
        encoder: on the device
        classes: values of the map, K of them
        size: of the patch
        device: where to work
    """
    centre = middle(tumour)
    seen, label = (torch.from_numpy(cut(one, centre, size))[None].to(device) for one in (image, tumour))
    with torch.no_grad():
        return Features(*class_means(encoder(seen), label, classes))


def prototype(features: Features) -> Features:
    """The mean over the cases that have a class."""
    weight = features.present.float() / features.present.sum(dim=0).clamp_min(1)
    means = [torch.einsum("bk,bkf->kf", weight, stage)[None] for stage in features.means]
    return Features(means, features.present.any(dim=0)[None])
