"""A loss in float32, whatever the precision of convolutions. In: any loss. Out: the same, outside autocast."""

from typing import Any

import torch


class Float32Loss(torch.nn.Module):
    """A loss of float32 outputs, in the midst of autocast: Dice sums over more voxels than bfloat16 can count."""

    def __init__(self, loss: torch.nn.Module, device_type: str) -> None:
        super().__init__()
        self.loss, self.device_type = loss, device_type

    def forward(self, output: Any, target: Any) -> torch.Tensor:
        """Return the loss of one output, or of the list of outputs at several resolutions."""
        with torch.autocast(self.device_type, enabled=False):
            return self.loss(
                [level.float() for level in output] if isinstance(output, list) else output.float(), target
            )
