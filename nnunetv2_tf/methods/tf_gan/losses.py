"""Eq. 2 to 5, one function each, in the paper's symbols. Images are (B, C, Z, Y, X) in [-1, 1].

Each loss is worked out per image, (B,), and averaged over images only at the end: so the mean over several processes is
the mean over all images.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from nnunetv2_tf.baseline.pooling import class_distance


def hinge(x_s: Tensor, x_s_: Tensor, m_roi: Tensor, brain: Tensor, margin: Tensor | float) -> Tensor:
    """Eq. 2: max(0, (1 - m_roi) |x_s - x_s'| - margin), averaged over the brain without the tumour.

    Args:
        x_s: refined
        x_s_: coarse, the paper's x_s'
        m_roi: (B, Z, Y, X) bool, the tumour
        brain: (B, Z, Y, X) bool; air does not count, of which patches have more or less
        margin: what may differ, a number or (B, Z, Y, X)
    """
    outside = (brain & ~m_roi)[:, None].to(x_s.dtype)
    allowed = margin[:, None] if isinstance(margin, Tensor) else margin
    excess = (((x_s - x_s_).abs() - allowed).clamp_min(0) * outside).sum(dim=(1, 2, 3, 4))
    return excess / (outside.sum(dim=(1, 2, 3, 4)) * x_s.shape[1]).clamp_min(1)


def perceptual(f_s: Sequence[Tensor], f_r: Sequence[Tensor], present: Tensor) -> Tensor:
    """Eq. 3: |f_r^(i,c) - f_s^(i,c)|, averaged over layers i and the classes c that both have; 0 where there is none.

    Args:
        f_s: (B, K, F) per layer, the class-wise pooled features of refined images
        f_r: (B, K, F) or (1, K, F) per layer, of real ones
        present: (B, K) bool
    """
    return class_distance(f_s, f_r, present)


def adversarial_d(real: Tensor, fake: Tensor) -> Tensor:
    """Eq. 4 for D, of one head: the cross entropy of taking real for real and refined for refined, halved."""
    return (_cross_entropy(real, 1.0) + _cross_entropy(fake, 0.0)) / 2


def adversarial_g(fake: Tensor) -> Tensor:
    """Eq. 4 for G, of one head: the cross entropy of taking refined for real.

    Not log(1 - D), whose gradient vanishes as long as D is sure.
    """
    return _cross_entropy(fake, 1.0)


def total(
    patch: Tensor, whole: Tensor, hinged: Tensor, percept: Tensor, lambdas: tuple[float, float, float, float]
) -> Tensor:
    """Eq. 5."""
    lambda_a, lambda_b, lambda_c, lambda_d = lambdas
    return lambda_a * patch + lambda_b * whole + lambda_c * hinged + lambda_d * percept


def gradient_penalty(logits: Sequence[Tensor], x_r: Tensor) -> Tensor:
    """R1 (not in the paper): half the squared gradient of D's mean logits at real images."""
    score = torch.stack([logit.flatten(1).mean(dim=1).sum() for logit in logits]).sum()
    (slope,) = torch.autograd.grad(score, x_r, create_graph=True)
    return slope.square().sum(dim=(1, 2, 3, 4)) / 2


def _cross_entropy(logits: Tensor, truth: float) -> Tensor:
    wanted = torch.full_like(logits, truth)
    return binary_cross_entropy_with_logits(logits, wanted, reduction="none").flatten(1).mean(dim=1)
