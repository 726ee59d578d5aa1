"""Faster training. In: a device and networks. Out: contexts and networks whose results differ by rounding only."""

import importlib
import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Acceleration:
    """The ways in which training is made faster."""

    mixed: bool = False  # autocast to bfloat16, which unlike float16 needs no scaling of losses
    compiled: bool = False
    channels_last: bool = False
    searched: bool = False  # cuDNN tries which algorithm is fastest for each shape, as in nnU-Net's training

    @classmethod
    def of(cls, device: torch.device) -> "Acceleration":
        """Return what is fast on a device; compiled only where nnU-Net's variable nnUNet_compile asks for it."""
        mixed = (
            torch.cuda.is_bf16_supported(including_emulation=False)
            if device.type == "cuda"
            else cpu_is_faster_in_bf16()
        )
        asked = os.environ.get("nnUNet_compile", "").lower() in ("true", "1", "t")
        return cls(mixed, device.type == "cuda" and asked, False, device.type == "cuda")

    def cudnn_benchmark(self) -> AbstractContextManager:
        """Return a context for whole steps, in which cuDNN searches for its fastest algorithms if `searched` says so.

        Steps should have the same shapes every time, since every new shape is searched for anew.
        """
        if not self.searched:
            return nullcontext()
        now = torch.backends.cudnn
        return now.flags(now.enabled, benchmark=True, deterministic=now.deterministic, allow_tf32=now.allow_tf32)

    def autocast(self, device: torch.device) -> AbstractContextManager:
        """Return a context for forward passes, with autocast if `mixed` says so."""
        return torch.autocast(device.type, torch.bfloat16, enabled=self.mixed)

    def with_memory_format(self, network: Network) -> Network:
        """Return the network, its weights in the format channels_last_3d if `channels_last` says so."""
        return network.to(memory_format=torch.channels_last_3d) if self.channels_last else network  # pyright: ignore[reportCallIssue]

    def compiled_for_training(self, network: Network) -> Network:
        """Return the network, compiled if `compiled` says so; it shares its weights with the given one."""
        if not self.compiled:
            return network
        functorch: Any = importlib.import_module("torch._functorch.config")
        functorch.donated_buffer = False  # gradients of single losses are measured, which keeps graphs
        return cast(Network, torch.compile(network, dynamic=False))


def cpu_is_faster_in_bf16() -> bool:
    """Return whether this CPU multiplies matrices in bfloat16; with vector instructions only it is slower than float32.

    The function is private to torch, and may go.
    """
    return getattr(torch.cpu, "_is_amx_tile_supported", bool)()


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Return the tensor on the device, without waiting for the device's running work."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor
