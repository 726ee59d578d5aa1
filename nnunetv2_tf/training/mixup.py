"""Mixup. In: a batch, a loss. Out: each patch blended with the next one of its batch, and the loss of both targets."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


def blended(images: torch.Tensor, share: float) -> torch.Tensor:
    """Return each image blended with the next of its batch, of which it keeps a share; the last with the first."""
    return torch.lerp(images.roll(-1, 0), images, share)


class MixupLoss(torch.nn.Module):
    """The loss of a blended batch's output: to so much as each patch keeps of itself, its own; else the next one's.

    The cross-entropy of this sum is that of blended one-hot targets. Dice is not linear in its target, and is added up.
    """

    def __init__(self, loss: torch.nn.Module) -> None:
        super().__init__()
        self.loss = loss
        self.share: float | None = None  # None: batches are not blended

    @contextmanager
    def mixing(self, share: float) -> Iterator[None]:
        """Take outputs for those of blended batches for a while."""
        self.share = share
        try:
            yield
        finally:
            self.share = None

    def forward(self, output: Any, target: Any) -> torch.Tensor:
        """Return the loss of one output, or of the list of outputs at several resolutions."""
        own = self.loss(output, target)
        if self.share is None:
            return own
        of_next = [level.roll(-1, 0) for level in target] if isinstance(target, list) else target.roll(-1, 0)
        return self.share * own + (1 - self.share) * self.loss(output, of_next)
