"""Moving averages of weights, steadier than the last ones. In: weights after each step. Out: their average."""

from collections.abc import Mapping

import torch
from torch import Tensor


class MovingAverage:
    """The moving average of a network's weights."""

    def __init__(self, weights: Mapping[str, Tensor], decay: float) -> None:
        """Begin with these weights; decay 0: they are never followed."""
        self.decay = decay
        self.weights = {name: value.detach().clone() for name, value in weights.items()}

    @torch.no_grad()
    def follow(self, weights: Mapping[str, Tensor], steps: int) -> None:
        """Move towards the weights; the decay grows with the steps done, so that the first ones are forgotten soon."""
        if not self.decay:
            return
        kept = min(self.decay, (1 + steps) / (10 + steps))
        for name, value in weights.items():
            self.weights[name].lerp_(value, 1 - kept)

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Load an earlier average, onto the devices of this one."""
        self.weights = {name: value.to(self.weights[name].device) for name, value in weights.items()}
