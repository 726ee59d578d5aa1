"""Eq. 2 to 5, one function each, in the paper's symbols. Images are (B, C, Z, Y, X) in [-1, 1].

Each loss is computed per image, (B,), and averaged over images only at the end, so that the mean over processes is the
mean over all images.
"""

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.nn.utils import parametrize

from nnunetv2_tf.baseline.class_features import class_distance


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


def adversarial_d(real: Tensor, fake: Tensor) -> Tensor:
    """Return Eq. 4 for D, of one head: half the cross entropy of calling real images real and refined ones fake."""
    return (_cross_entropy(real, 1.0) + _cross_entropy(fake, 0.0)) / 2


def adversarial_g(fake: Tensor) -> Tensor:
    """Return Eq. 4 for G, of one head: the cross entropy of D calling refined images real.

    This is not log(1 - D), whose gradient vanishes as long as D is sure.
    """
    return _cross_entropy(fake, 1.0)


def total(
    patch: Tensor, whole: Tensor, hinged: Tensor, percept: Tensor, lambdas: tuple[float, float, float, float]
) -> Tensor:
    """Return Eq. 5, the weighted sum of G's losses."""
    lambda_a, lambda_b, lambda_c, lambda_d = lambdas
    return lambda_a * patch + lambda_b * whole + lambda_c * hinged + lambda_d * percept


def penalised(discriminate: Callable[[Tensor], Sequence[Tensor]], x_r: Tensor) -> tuple[list[Tensor], Tensor]:
    """Return the logits of real images and the R1 penalty, (B,): half the squared gradient of D's mean logits there.

    R1 is not in the paper. With the image's gradient held fixed as a direction, the gradient of R1 is that of the slope
    along it, for which one pass in forward mode is enough. Double backward gives the same, but turns each convolution
    into one with a kernel as large as its output. PyTorch's forward mode is wrong for instance norm, so a discriminator
    must not have it here.

    Args:
        discriminate: from images to the logits of each head, each image independently of the others
        x_r: (B, C, Z, Y, X)
    """
    x_r = x_r.detach().requires_grad_()
    with parametrize.cached():  # spectral norm changes the weights with every call
        (slope,) = torch.autograd.grad(_means(discriminate(x_r)).sum(), x_r)
        with forward_ad.dual_level():
            duals = discriminate(cast(Tensor, forward_ad.make_dual(x_r.detach(), slope)))
            logits, along = zip(*(forward_ad.unpack_dual(dual) for dual in duals), strict=True)
            squared = _means(along)
    return list(logits), squared - squared.detach() / 2


def _means(logits: Sequence[Tensor]) -> Tensor:
    """Return (B,): each head's mean logit, summed over the heads."""
    return torch.stack([logit.flatten(1).mean(dim=1) for logit in logits]).sum(dim=0)


def _cross_entropy(logits: Tensor, truth: float) -> Tensor:
    wanted = torch.full_like(logits, truth)
    return binary_cross_entropy_with_logits(logits, wanted, reduction="none").flatten(1).mean(dim=1)
