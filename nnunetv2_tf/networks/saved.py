"""Networks in files: weights, and the design that they are of, from which nothing can be executed."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import library_file
from nnunetv2_tf.io.json_dataclass import from_json, to_json

KEY = "design"  # in the file's metadata
Design = TypeVar("Design")
Network = TypeVar("Network", bound=nn.Module)


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """Return all weights, each under one name only: nnU-Net's blocks hold theirs under two."""
    return {name: value.detach() for name, value in network.named_parameters()}


def millions_of_weights(network: nn.Module) -> float:
    """Return how many weights a network has, in millions."""
    return sum(weight.numel() for weight in network.parameters()) / 1e6


def load_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load weights; raise ValueError when they are another network's."""
    current = weights_of(network)
    wrong = {name for name in current.keys() | weights if _shape(current, name) != _shape(weights, name)}
    if wrong:
        raise ValueError(f"{len(wrong)} weights are another network's, such as {min(wrong)}")
    for name, value in current.items():
        value.copy_(weights[name])


def write_network(path: Path, design: Any, weights: Mapping[str, Tensor]) -> None:
    """Write weights and design, a dataclass, into one file, whole or not at all."""
    with library_file(path, SafetensorError) as temporary:
        save_file(
            {name: value.detach().cpu().contiguous() for name, value in weights.items()}, temporary,
            {KEY: json.dumps(to_json(design))},
        )  # fmt: skip


def read_network(
    path: Path, kind: type[Design], build: Callable[[Design], Network], called: str, cure: str
) -> Network:  # fmt: skip
    """Read a network onto the CPU, in evaluation mode.

    Args:
        path: of the file
        kind: class of its design
        build: makes a network of a design
        called: what it is, for the message when it is something else
        cure: ends that message
    """
    try:
        with safe_open(path, "pt") as file:
            design: Any = json.loads(file.metadata()[KEY])
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        network = build(from_json(kind, design))
        load_weights(network, weights)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{path} is no {called} ({error}); {cure}") from None
    return network.eval().requires_grad_(False)


def _shape(weights: Mapping[str, Tensor], name: str) -> torch.Size | None:
    return weights[name].shape if name in weights else None
