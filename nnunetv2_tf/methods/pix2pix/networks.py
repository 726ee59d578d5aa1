"""The generator of Pix2Pix. In: a label map with the organ as one more label. Out: an image in [-1, 1]."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from nnunetv2_tf.baseline.class_features import class_masks
from nnunetv2_tf.networks.levels import Levels
from nnunetv2_tf.networks.saved import read_network
from nnunetv2_tf.networks.unet import UNet
from nnunetv2_tf.training.intensity_range import DARKEST, IntensityRange

WEIGHTS = "generator.safetensors"
BESIDE = 2  # channels of a condition beside the classes': outside the organ, and organ without tumour


@dataclass(frozen=True)
class Pix2PixDesign:
    """All that is needed to build a generator and to use it."""

    channels: tuple[str, ...]
    classes: tuple[int, ...]  # values of the tumour map
    features: tuple[int, ...]
    levels: Levels
    domain: IntensityRange


class MapToImage(nn.Module):
    """A U-Net from maps to images."""

    def __init__(self, design: Pix2PixDesign) -> None:
        super().__init__()
        self.design = design
        self.network = UNet(len(design.classes) + BESIDE, len(design.channels), design.features, design.levels)

    def forward(self, condition: Tensor) -> Tensor:
        """Return (B, C, Z, Y, X) in [-1, 1] of what `condition_of` returns, darkest outside the organ."""
        image = torch.tanh(self.network(condition).float())
        return torch.where(inside_of(condition)[:, None], image, torch.full_like(image, DARKEST))


def condition_of(tumour: Tensor, organ: Tensor, classes: Sequence[int]) -> Tensor:
    """Return (B, K + 2, Z, Y, X) float: outside the organ, organ without tumour, and each class.

    Args:
        tumour: (B, Z, Y, X) the map
        organ: (B, Z, Y, X) bool
        classes: values of the map, K of them
    """
    masks = class_masks(tumour, classes)
    inside = masks.any(dim=1)
    beside = torch.stack([~(organ | inside), organ & ~inside], dim=1)
    return torch.cat([beside, masks], dim=1).float()


def inside_of(condition: Tensor) -> Tensor:
    """Return (B, Z, Y, X) bool: where there is organ or tumour."""
    return condition[:, 0] < 1


def read_generator(path: Path, cure: str) -> MapToImage:
    """Read a generator onto the CPU, in evaluation mode; `cure` ends the message when that fails."""
    return read_network(path, Pix2PixDesign, MapToImage, "generator of Pix2Pix", cure)
