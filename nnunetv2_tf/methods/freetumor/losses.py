"""The losses of FreeTumor, one function each, in its symbols: computed per image, (B,).

p are log-probabilities (B, K, Z, Y, X), one channel for each class of the tumour: p_real and p_fake those of
discriminator D, p_S those of the frozen segmentor S. m are maps (B, Z, Y, X) of synthetic tumours, y of real ones. The
paper has one class for each organ; with several a voxel is to be called what it is, and each class counts the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nnunetv2_tf.baseline.class_features import class_masks


@dataclass(frozen=True)
class Losses:
    """The three losses."""

    classes: Sequence[int]  # values of the maps, K of them
    logarithmic: bool  # -log p in place of 1 - p

    def adv(self, p_real: Tensor, m: Tensor) -> Tensor:
        """Return L_adv of G: D does not take synthetic tumours for real ones."""
        return self._missed(p_real, m)

    def seg(self, p_S: Tensor, m: Tensor) -> Tensor:
        """Return L_seg of G: S does not call synthetic tumours tumours."""
        return self._missed(p_S, m)

    def d(self, p_fake: Tensor, m: Tensor, p_real: Tensor, y: Tensor) -> Tensor:
        """Return L_D: half of what D misses of synthetic tumours, half of what it misses of real ones."""
        return (self._missed(p_fake, m) + self._missed(p_real, y)) / 2

    def _missed(self, p: Tensor, where: Tensor) -> Tensor:
        """Return (B,): 1 - p, or -log p, averaged over a class's voxels, then over the classes that are there."""
        masks = class_masks(where, self.classes)
        each = -p if self.logarithmic else 1 - p.exp()
        voxels = masks.sum(dim=(2, 3, 4))
        of_class = torch.where(masks, each, torch.zeros_like(each)).sum(dim=(2, 3, 4)) / voxels.clamp_min(1)
        return of_class.sum(dim=1) / (voxels > 0).sum(dim=1).clamp_min(1)
