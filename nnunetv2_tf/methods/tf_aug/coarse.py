"""Eq. 1: x_s' = x_h (1 - m_s) + I(B(x_h)) m_s. In: a healthy image and a tumour map. Out: the coarse image.

B blurs; I(x) = a x + b, with a and b for each class and channel. The map may be soft: a voxel then belongs in part to a
class, in part to another, in part to the host. Volumes are (C, Z, Y, X), as nnU-Net normalises; classes come as shares
(K, Z, Y, X). Beyond the paper, detail may be added in a tumour: some of the host's, and its donor's texture; and b may
be another in each case, so that its classes are as bright as its donor's.
"""

import torch
from torch import Tensor


def coarse(x_h: Tensor, blurred: Tensor, shares: Tensor, a: Tensor, b: Tensor, detail: Tensor | None = None) -> Tensor:
    """Return the coarse image x_s', or a batch of them; gradients reach a and b.

    Args:
        x_h: (..., C, Z, Y, X) the host
        blurred: (..., C, Z, Y, X) B(x_h)
        shares: (..., K, Z, Y, X) m_s, how much of each voxel is which class
        a: (K, C)
        b: (..., K, C), or (K, C) for all of them
        detail: (..., C, Z, Y, X) what is added in the tumour; nothing in the paper
    """
    inside = shares.sum(dim=-4, keepdim=True)
    slope = torch.einsum("...kzyx,kc->...czyx", shares, a)
    offset = torch.einsum("...kzyx,...kc->...czyx", shares, b)
    tumour = slope * blurred + offset
    return x_h * (1 - inside) + (tumour if detail is None else tumour + inside * detail)


def anchored(a: Tensor, b: Tensor, anchors: Tensor) -> Tensor:
    """Return (..., K, C): b of cases whose classes are to be as bright as asked for; b itself where nothing is asked.

    Args:
        a: (K, C)
        b: (K, C)
        anchors: (..., K, C, 2) the mean of B(x_h) in the class, and what a of it and b are to come to; nan: nothing
    """
    given, wanted = anchors.unbind(dim=-1)
    asked = ~(given + wanted).isnan()
    return torch.where(asked, wanted.nan_to_num() - a * given.nan_to_num(), b)
