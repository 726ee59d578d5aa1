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

    def seg(self, p_S: Tensor, m: Tensor, allowed: Tensor | None = None) -> Tensor:
        """Return L_seg of G: S does not call synthetic tumours tumours; (K,) of it are allowed, if by class."""
        return self._missed(p_S, m, allowed)

    def d(self, p_fake: Tensor, m: Tensor, p_real: Tensor, y: Tensor) -> Tensor:
        """Return L_D: half of what D misses of synthetic tumours, half of what it misses of real ones."""
        return (self._missed(p_fake, m) + self._missed(p_real, y)) / 2

    def by_class(self, p: Tensor, where: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, K) 1 - p, or -log p, averaged over a class's voxels, and (B, K) whether it has any."""
        masks = class_masks(where, self.classes)
        each = -p if self.logarithmic else 1 - p.exp()
        voxels = masks.sum(dim=(2, 3, 4))
        of_class = torch.where(masks, each, torch.zeros_like(each)).sum(dim=(2, 3, 4)) / voxels.clamp_min(1)
        return of_class, voxels > 0

    def _missed(self, p: Tensor, where: Tensor, allowed: Tensor | None = None) -> Tensor:
        """Return (B,): what `by_class` returns, beyond what is allowed, averaged over the classes that are there."""
        of_class, there = self.by_class(p, where)
        if allowed is not None:
            of_class = (of_class - allowed).relu() * there
        return of_class.sum(dim=1) / there.sum(dim=1).clamp_min(1)
