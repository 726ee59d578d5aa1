"""Mixup. In: a batch, a loss. Out: each patch blended with the next one of its batch, and the loss of both targets."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


def blended(images: torch.Tensor, share: float) -> torch.Tensor:
    """Return share * image + (1 - share) * next image, for each image of a batch; the first follows the last."""
    return torch.lerp(images.roll(-1, 0), images, share)


class MixupLoss(torch.nn.Module):
    """share * loss(own target) + (1 - share) * loss(next patch's target), for the output of a blended batch.

    For the cross-entropy, without an ignore label, that is the same as blended one-hot targets.
    """

    def __init__(self, loss: torch.nn.Module) -> None:
        super().__init__()
        self.loss = loss
        self.share: float | None = None  # None: batches are not blended

    @contextmanager
    def mixing(self, share: float) -> Iterator[None]:
        """Within this context, weigh both targets by this share."""
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
