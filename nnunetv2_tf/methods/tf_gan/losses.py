"""Eq. 2 to 5, one function each, in the paper's symbols. Images are (B, C, Z, Y, X) in [-1, 1].

Each loss is computed per image, (B,), and averaged over images only at the end, so that the mean over processes is the
mean over all images.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from nnunetv2_tf.baseline.class_features import class_distance
from nnunetv2_tf.networks.discriminators import Verdict, visible_mean


def hinge(x_s: Tensor, x_s_: Tensor, m_roi: Tensor, brain: Tensor, margin: Tensor | float) -> Tensor:
    """Return Eq. 2: max(0, (1 - m_roi) |x_s - x_s'| - margin), averaged over the brain without the tumour.

    Args:
        x_s: the refined image
        x_s_: the coarse image, the paper's x_s'
        m_roi: (B, Z, Y, X) bool, the tumour
        brain: (B, Z, Y, X) bool; air does not count, since patches hold more or less of it
        margin: a difference that costs nothing, a number or (B, Z, Y, X)
    """
    outside = (brain & ~m_roi)[:, None].to(x_s.dtype)
    allowed = margin[:, None] if isinstance(margin, Tensor) else margin
    excess = (((x_s - x_s_).abs() - allowed).clamp_min(0) * outside).sum(dim=(1, 2, 3, 4))
    return excess / (outside.sum(dim=(1, 2, 3, 4)) * x_s.shape[1]).clamp_min(1)


def perceptual(f_s: Sequence[Tensor], f_r: Sequence[Tensor], present: Tensor) -> Tensor:
    """Return Eq. 3: |f_r^(i,c) - f_s^(i,c)|, averaged over layers i and the classes c that both have; 0 without any.

    Args:
        f_s: (B, K, F) per layer, the class-wise pooled features of refined images
        f_r: (B, K, F) or (1, K, F) per layer, of real ones
        present: (B, K) bool
    """
    return class_distance(f_s, f_r, present)


def adversarial_d(real: Verdict, fake: Verdict) -> tuple[Tensor, Tensor]:
    """Return Eq. 4 for D, of patches and of whole images: half the cross entropy of telling real from refined ones."""
    (patch_r, whole_r), (patch_s, whole_s) = _cross_entropies(real, 1.0), _cross_entropies(fake, 0.0)
    return (patch_r + patch_s) / 2, (whole_r + whole_s) / 2


def adversarial_g(fake: Verdict) -> tuple[Tensor, Tensor]:
    """Return Eq. 4 for G, of patches and of whole images: the cross entropy of D calling refined images real.

    This is not log(1 - D), whose gradient vanishes as long as D is sure.
    """
    return _cross_entropies(fake, 1.0)


def total(terms: Mapping[str, Tensor], lambdas: Mapping[str, float]) -> Tensor:
    """Return Eq. 5, the weighted sum of G's losses."""
    return torch.stack([lambdas[name] * term for name, term in terms.items()]).sum()


def _cross_entropies(verdict: Verdict, truth: float) -> tuple[Tensor, Tensor]:
    """Return (B,) twice: averaged over visible places and patch heads, and of the global head."""
    patches = [
        visible_mean(_cross_entropy(logits, truth), visible)[:, 0]
        for logits, visible in zip(verdict.places, verdict.visible, strict=True)
    ]
    return torch.stack(patches).mean(dim=0), _cross_entropy(verdict.whole, truth)[:, 0]


def _cross_entropy(logits: Tensor, truth: float) -> Tensor:
    return binary_cross_entropy_with_logits(logits, torch.full_like(logits, truth), reduction="none")
