"""G and D of TF-GAN. In: the design of both. Out: networks, and files of weights that carry their design."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import avg_pool3d, pad

from nnunetv2_tf.errors import UserError
from nnunetv2_tf.methods.tf_gan.domain import Domain
from nnunetv2_tf.networks.levels import Levels
from nnunetv2_tf.networks.unet import UNet
from nnunetv2_tf.records import from_json, to_json
from nnunetv2_tf.work import whole_file

WEIGHTS = "generator.safetensors"
KEY = "design"  # of the file's metadata


@dataclass(frozen=True)
class Design:
    """All that building a generator, and using it, takes."""

    channels: tuple[str, ...]
    classes: tuple[int, ...]  # values of the tumour map
    features: tuple[int, ...]
    levels: Levels
    residual: bool
    reach_mm: float | None
    rim_mm: float
    spacing: tuple[float, float, float]  # mm
    domain: Domain


class Generator(nn.Module):
    """G, and how what it puts out becomes an image."""

    def __init__(self, design: Design) -> None:
        super().__init__()
        self.design = design
        channels = len(design.channels)
        self.network = UNet(channels + len(design.classes), channels, design.features, design.levels)
        if design.residual:  # begins by changing nothing
            nn.init.zeros_(self.network.head.weight)
            nn.init.zeros_(self.network.head.bias)  # pyright: ignore[reportArgumentType]

    def weights(self) -> dict[str, Tensor]:
        """All that it has learnt, each once: nnU-Net's blocks hold theirs under two names."""
        return {name: value.detach() for name, value in self.named_parameters()}

    def take(self, weights: Mapping[str, Tensor]) -> None:
        """Takes up weights; raises ValueError where they are another network's."""
        own = self.weights()
        wrong = {name for name in own.keys() | weights if _shape(own, name) != _shape(weights, name)}
        if wrong:
            raise ValueError(f"{len(wrong)} weights are another network's, such as {min(wrong)}")
        for name, value in own.items():
            value.copy_(weights[name])

    def forward(self, x_s_: Tensor, m_s: Tensor) -> Tensor:
        """What is to be added to the coarse image, in [-1, 1].

        Args:
            x_s_: (B, C, Z, Y, X) the coarse image, the paper's x_s'
            m_s: (B, K, Z, Y, X) the tumour map, one channel per class
        """
        found = torch.tanh(self.network(torch.cat([x_s_, m_s], dim=1)).float())
        return found if self.design.residual else found - x_s_.clamp(-1, 1)  # what lies beyond keeps lying beyond

    def depth(self, organ: Tensor) -> Tensor:
        """How much of what it adds counts in an organ (B, Z, Y, X): nothing in the rim."""
        return depth_share(organ, self.design.rim_mm, self.design.spacing)

    def refined(self, coarse: Tensor, added: Tensor, deep: Tensor) -> Tensor:
        """A coarse image (B, C, Z, Y, X), z, with what was added to it, as far as its depth lets it count."""
        return coarse + self.design.domain.change(added) * deep[:, None]


def composed(host: Tensor, image: Tensor, share: Tensor) -> Tensor:
    """An image as it will be written, and the host where it does not count. All (B, C, Z, Y, X), z.

    Args:
        host: what was there
        image: a coarse or a refined one
        share: (B, Z, Y, X) how much it counts: 1 in the tumour, 0 outside the organ
    """
    return host + share[:, None] * (image - host)


def share_of(distance: Tensor, reach_mm: float | None) -> Tensor:
    """How much a refined image counts, by the distance in mm to the tumour; as finished cases are put together."""
    if reach_mm is None:
        return torch.ones_like(distance)
    return (1 + torch.cos(torch.pi * (distance / reach_mm).clamp(max=1))) / 2


def depth_share(organ: Tensor, rim_mm: float, spacing: Sequence[float]) -> Tensor:
    """How much a place in the organ (B, Z, Y, X) counts, by its depth: 0 in the rim's outer half, 1 below the rim.

    The depth is taken from how much of a box of twice the rim around a place is organ: at a flat surface half of it.
    Without a rim every place counts.
    """
    if not rim_mm:
        return torch.ones_like(organ, dtype=torch.float32)
    found = torch.stack([organ, torch.ones_like(organ)], dim=1).float()  # the latter: how much of the box is known
    for axis, step in enumerate(spacing):
        reach = [round(rim_mm / step) if axis == other else 0 for other in range(3)]
        beside = [side for more in reversed(reach) for side in (more, more)]
        found = avg_pool3d(pad(found, beside), [2 * more + 1 for more in reach], 1)
    return (4 * found[:, 0] / found[:, 1] - 3).clamp(min=0)


def one_hot(tumour: Tensor, classes: Sequence[int]) -> Tensor:
    """(B, K, Z, Y, X) float of a map (B, Z, Y, X)."""
    return torch.stack([tumour == value for value in classes], dim=1).float()


def write_generator(path: Path, design: Design, weights: Mapping[str, Tensor]) -> None:
    """Weights and design in one file that nothing can be executed from."""
    with whole_file(path) as temporary:
        save_file(
            {name: value.detach().cpu().contiguous() for name, value in weights.items()}, temporary,
            {KEY: json.dumps(to_json(design))},
        )  # fmt: skip


def read_generator(path: Path, cure: str) -> Generator:
    """On the CPU, for use."""
    try:
        with safe_open(path, "pt") as file:
            design: Any = json.loads(file.metadata()[KEY])
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        generator = Generator(from_json(Design, design))
        generator.take(weights)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{path} is no generator of TF-GAN ({error}); {cure}") from None
    return generator.eval().requires_grad_(False)


def _shape(weights: Mapping[str, Tensor], name: str) -> torch.Size | None:
    return weights[name].shape if name in weights else None
