"""The losses of Pix2Pix, one function each: computed per image, (B,), and averaged over images only at the end."""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


def adversarial_d(real: Tensor, made: Tensor) -> Tensor:
    """Return (B,): half the cross entropy of telling real pairs from made ones, averaged over patches' logits."""
    return (cross_entropy(real, 1.0) + cross_entropy(made, 0.0)) / 2


def adversarial_g(made: Tensor) -> Tensor:
    """Return (B,): the cross entropy of calling made pairs real."""
    return cross_entropy(made, 1.0)


def l1(x: Tensor, real: Tensor, where: Tensor) -> Tensor:
    """Return (B,): the mean absolute difference of images (B, C, Z, Y, X) where (B, Z, Y, X) is True."""
    weight = where[:, None].to(x.dtype)
    total = ((x - real).abs() * weight).sum(dim=(1, 2, 3, 4))
    return total / (weight.sum(dim=(1, 2, 3, 4)) * x.shape[1]).clamp_min(1)


def cross_entropy(logits: Tensor, truth: float) -> Tensor:
    """Return (B,): averaged over logits (B, 1, z, y, x)."""
    each = binary_cross_entropy_with_logits(logits, torch.full_like(logits, truth), reduction="none")
    return each.mean(dim=(1, 2, 3, 4))
