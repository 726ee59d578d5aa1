"""The generator of TF-GAN. In: its design. Out: the network, and a file that holds weights and design."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool3d, pad

from nnunetv2_tf.baseline.class_features import class_masks
from nnunetv2_tf.networks.levels import Levels
from nnunetv2_tf.networks.saved import load_weights, read_network, weights_of, write_network
from nnunetv2_tf.networks.unet import UNet
from nnunetv2_tf.training.intensity_range import IntensityRange

WEIGHTS = "generator.safetensors"


@dataclass(frozen=True)
class Design:
    """All that is needed to build a generator and to use it."""

    channels: tuple[str, ...]
    classes: tuple[int, ...]  # values of the tumour map
    features: tuple[int, ...]
    levels: Levels
    residual: bool
    reach_mm: float | None
    rim_mm: float
    spacing: tuple[float, float, float]  # mm
    domain: IntensityRange


class Generator(nn.Module):
    """The generator G, and how its output becomes an image."""

    def __init__(self, design: Design) -> None:
        super().__init__()
        self.design = design
        channels = len(design.channels)
        self.network = UNet(channels + len(design.classes), channels, design.features, design.levels)
        if design.residual:  # training begins with a generator that changes nothing
            nn.init.zeros_(self.network.head.weight)
            nn.init.zeros_(self.network.head.bias)  # pyright: ignore[reportArgumentType]

    def weights(self) -> dict[str, Tensor]:
        """Return all weights, by name."""
        return weights_of(self)

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Load weights; raise ValueError when they are another network's."""
        load_weights(self, weights)

    def forward(self, x_s_: Tensor, m_s: Tensor) -> Tensor:
        """Return what is to be added to the coarse image, in intensities scaled to [-1, 1].

        Args:
            x_s_: (B, C, Z, Y, X) the coarse image, the paper's x_s'
            m_s: (B, K, Z, Y, X) the tumour map, one channel per class
        """
        output = torch.tanh(self.network(torch.cat([x_s_, m_s], dim=1)).float())
        return output if self.design.residual else output - x_s_.clamp(-1, 1)  # what exceeds [-1, 1] is kept

    def depth_weight(self, organ: Tensor) -> Tensor:
        """Return the weight of the generator's output at each voxel of an organ (B, Z, Y, X), by `depth_weight_of`."""
        return depth_weight_of(organ, self.design.rim_mm, self.design.spacing)

    def refined(self, coarse: Tensor, added: Tensor, depth: Tensor) -> Tensor:
        """Return the coarse image (B, C, Z, Y, X), z, plus what the generator adds, weighted by `depth_weight`."""
        return coarse + self.design.domain.denormalise_difference(added) * depth[:, None]


def blended(coarse: Tensor, refined: Tensor, share: Tensor) -> Tensor:
    """Return the refined image as far as it counts, as it will be written. Both are (B, C, Z, Y, X), z.

    Args:
        coarse: the coarse image, in its host
        refined: what the generator made of it
        share: (B, Z, Y, X) weight of the refined image: 1 in the tumour, 0 beyond the generator's reach and the organ
    """
    return coarse + share[:, None] * (refined - coarse)


def depth_weight_of(organ: Tensor, rim_mm: float, spacing: Sequence[float]) -> Tensor:
    """Return a weight for each voxel of an organ (B, Z, Y, X), by depth: 0 in the rim's outer half, 1 below the rim.

    The depth is estimated by how much of a box around the voxel, twice as wide as the rim, is organ: at a flat surface
    it is half of the box. Without a rim all weights are 1.
    """
    if not rim_mm:
        return torch.ones_like(organ, dtype=torch.float32)
    means = torch.stack([organ, torch.ones_like(organ)], dim=1).float()  # ones: how much of the box is in the volume
    for axis, step in enumerate(spacing):
        margins = [round(rim_mm / step) if axis == other else 0 for other in range(3)]
        padding = [side for margin in reversed(margins) for side in (margin, margin)]
        means = avg_pool3d(pad(means, padding), [2 * margin + 1 for margin in margins], 1)
    return (4 * means[:, 0] / means[:, 1] - 3).clamp(min=0)


def one_hot(tumour: Tensor, classes: Sequence[int]) -> Tensor:
    """Return (B, K, Z, Y, X) float: a channel for each class of a tumour map (B, Z, Y, X)."""
    return class_masks(tumour, classes).float()


def write_generator(path: Path, design: Design, weights: Mapping[str, Tensor]) -> None:
    """Write weights and design into one file."""
    write_network(path, design, weights)


def read_generator(path: Path, cure: str) -> Generator:
    """Read a generator onto the CPU, in evaluation mode; `cure` ends the message when that fails."""
    return read_network(path, Design, Generator, "generator of TF-GAN", cure)
