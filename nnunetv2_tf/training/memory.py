"""How much memory a training will take. In: a network, and what it will be given. Out: bytes, and a line for the log.

Nothing is computed for it: the forward pass runs without values, and what autograd would keep is counted.
"""

import re
import sys
from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

COPIES, SINGLE = 4, 4  # of each weight: itself, its gradient, and Adam's two moments; bytes of a number
LIBRARIES = 1.0  # GB that Python, its libraries and a few cases take, about
GIGABYTE = 1e9


def bytes_to_train(network: nn.Module, *inputs: Tensor) -> int:
    """Return how many bytes weights take, with all that a step in single precision keeps of such inputs."""
    weights = [*network.parameters(), *network.buffers()]
    empty = {id(one): _without_values(one) for one in weights}
    unreal, kept = deepcopy(network, empty).train(), dict[int, int]()
    alive = []  # so that no storage gets the number of another one

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage.nbytes()
        alive.append(tensor)
        return tensor

    with saved_tensors_hooks(count, lambda tensor: tensor):
        alive.append(unreal(*(torch.empty_like(one, device="meta") for one in inputs)))
    for weight in unreal.parameters():
        kept.pop(weight.untyped_storage()._cdata, None)
    return sum(kept.values()) + COPIES * SINGLE * sum(weight.numel() for weight in network.parameters())


def _without_values(tensor: Tensor) -> Tensor:
    """Return a weight or a buffer without values, in place of which nothing is copied."""
    hollow = torch.empty_like(tensor, device="meta")
    return nn.Parameter(hollow, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else hollow


def peak_line() -> str:
    """Say how much memory this process has taken at most, of a GPU where it computes on one."""
    if torch.cuda.is_initialized():
        return f"memory of the GPU, at most so far: {torch.cuda.max_memory_reserved() / GIGABYTE:.1f} GB"
    return f"memory, at most so far: {peak_bytes() / GIGABYTE:.1f} GB"


def peak_bytes(status: Path = Path("/proc/self/status")) -> int:
    """Return how much memory this process has taken at most.

    Args:
        status: Linux' own count. Where there is none the system's count of resources is taken, which begins with what
            the process had that started this one.
    """
    if status.exists() and (found := re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(encoding="utf-8"), re.M)):
        return int(found[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def memory_lines(needed: int, device: torch.device) -> list[str]:
    """Say how much memory a training takes, and warn when a GPU has less."""
    if device.type != "cuda":
        return [f"memory: about {needed / GIGABYTE + LIBRARIES:.1f} GB, or less where half precision is fast"]
    free = torch.cuda.mem_get_info(device)[0] / GIGABYTE
    line = f"memory of the GPU: about {needed / GIGABYTE:.1f} GB, or less in half precision; {free:.1f} GB are free"
    if needed / GIGABYTE <= free:
        return [line]
    return [line, "That may be too little. Take -preset brief, or plans with a smaller patch (-p)."]
