"""Means within masks, per image of a batch. In: values and masks. Out: (B,), to be averaged at the end."""

import torch
from torch import Tensor


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Return (B,): the mean of values (B, Z, Y, X) by weights."""
    return (values * weights).sum(dim=(1, 2, 3)) / weights.sum(dim=(1, 2, 3)).clamp_min(1e-6)


def mean_where(values: Tensor, where: Tensor) -> Tensor:
    """Return (B,): the mean of values (B, Z, Y, X) where a mask is True; 0 where it is nowhere."""
    total = torch.where(where, values, torch.zeros_like(values)).sum(dim=(1, 2, 3))
    return total / where.sum(dim=(1, 2, 3)).clamp_min(1)
