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
        anchors: (..., K, C, 3 + 2 K), as `donors.anchors` returns them; nan: nothing is asked
    """
    classes = a.shape[0]
    given, plain, through = anchors[..., :3].unbind(dim=-1)
    alone = torch.where((given + plain).isnan(), b, plain.nan_to_num() - a * given.nan_to_num())
    shares, blurred = anchors.nan_to_num()[..., 3:].split(classes, dim=-1)  # (..., K, C, K) of class k: parts of all
    asked = ~through.isnan()
    right = torch.where(asked, through.nan_to_num() - (blurred * a.T).sum(dim=-1), alone)
    itself = torch.eye(classes, dtype=a.dtype, device=a.device)[:, None, :]
    rows = torch.where(asked[..., None], shares, itself)
    return torch.linalg.solve(rows.transpose(-3, -2), right.transpose(-2, -1)[..., None])[..., 0].transpose(-2, -1)
