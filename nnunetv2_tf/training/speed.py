"""What makes training fast on a device, and changes its result by rounding only."""

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Speed:
    """How networks run."""

    mixed: bool = False  # convolutions in bfloat16, which needs no scaling of losses as float16 does
    compiled: bool = False
    channels_last: bool = False
    searched: bool = False  # cuDNN tries what is fastest for each shape, as in nnU-Net's training

    @classmethod
    def of(cls, device: torch.device) -> "Speed":
        """What is fast on a device. Compiled only where nnU-Net's variable nnUNet_compile asks for it."""
        mixed = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        asked = os.environ.get("nnUNet_compile", "").lower() in ("true", "1", "t")
        return cls(mixed, device.type == "cuda" and asked, False, device.type == "cuda")

    def convolutions(self) -> AbstractContextManager:
        """For whole steps, of the same shapes every time."""
        if not self.searched:
            return nullcontext()
        now = torch.backends.cudnn
        return now.flags(now.enabled, benchmark=True, deterministic=now.deterministic, allow_tf32=now.allow_tf32)

    def precision(self, device: torch.device, exact: bool = False) -> AbstractContextManager:
        """For forward passes; exact: in float32 whatever is fast."""
        return torch.autocast(device.type, torch.bfloat16, enabled=self.mixed and not exact)

    def laid_out(self, network: Network) -> Network:
        """With its weights in the order in memory that is fast."""
        return network.to(memory_format=torch.channels_last_3d) if self.channels_last else network  # pyright: ignore[reportCallIssue]

    def ready(self, network: Network) -> Network:
        """For calls that are followed by one backward pass; the weights stay the network's."""
        return cast(Network, torch.compile(network, dynamic=False)) if self.compiled else network


def onto(tensor: Tensor, device: torch.device) -> Tensor:
    """On the device, without a wait for what it is doing."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor
