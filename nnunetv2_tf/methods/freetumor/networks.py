"""Generator G and discriminator D of FreeTumor. In: designs and baselines. Out: networks, and what they say."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import conv3d, logsigmoid, pad

from nnunetv2_tf.baseline.class_features import class_masks
from nnunetv2_tf.baseline.class_probabilities import ClassProbabilities
from nnunetv2_tf.networks.levels import Levels
from nnunetv2_tf.networks.saved import read_network
from nnunetv2_tf.networks.unet import UNet
from nnunetv2_tf.training.intensity_range import IntensityRange

WEIGHTS = "generator.safetensors"
FULL = 2.0  # of [-1, 1]: the most that a voxel can change
TRUNCATE = 3  # standard deviations


@dataclass(frozen=True)
class FreeTumorDesign:
    """All that is needed to build a generator and to use it."""

    channels: tuple[str, ...]
    classes: tuple[int, ...]  # values of the tumour map
    features: tuple[int, ...]
    levels: Levels
    smooth_voxels: float
    textured: bool
    domain: IntensityRange


class Content(nn.Module):
    """The generator G: what tumours of a map look like in a host."""

    def __init__(self, design: FreeTumorDesign) -> None:
        super().__init__()
        self.design = design
        channels = len(design.channels)
        self.network = UNet(channels + len(design.classes) + 1, channels, design.features, design.levels)

    def forward(self, x: Tensor, m: Tensor, texture: Tensor) -> Tensor:
        """Return (B, C, Z, Y, X): content - x, how the content of a tumour differs from its host.

        Args:
            x: (B, C, Z, Y, X) the host, in [-1, 1]
            m: (B, Z, Y, X) the tumour map
            texture: (B, Z, Y, X) from 0 to 1
        """
        masks = class_masks(m, self.design.classes).to(x.dtype)
        difference = torch.tanh(self.network(torch.cat([x, masks, texture[:, None]], dim=1)).float()) * FULL
        if self.design.smooth_voxels:
            difference = blurred(difference, self.design.smooth_voxels)
        return difference * texture[:, None] if self.design.textured else difference

    def composed(self, host: Tensor, difference: Tensor, soft: Tensor) -> Tensor:
        """Return x' = x (1 - m) + content m, with the host x (B, C, Z, Y, X), z, and a soft m (B, Z, Y, X)."""
        return host + soft[:, None] * self.design.domain.denormalise_difference(difference)


class Discriminator(nn.Module):
    """A segmentor that says of each class how far it is real and how far synthetic; at first it does not know."""

    def __init__(self, segmentor: nn.Module, of_classes: ClassProbabilities) -> None:
        """Take a segmentor as it is, and give it a vote for each class: that it is synthetic. It is changed."""
        super().__init__()
        layers = cast(Any, segmentor).decoder.seg_layers
        layers[-1] = _WithVotes(layers[-1], len(of_classes.of_classes))
        self.segmentor, self.of_classes = segmentor, of_classes

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the log-probabilities of real and of synthetic classes, (B, K, Z, Y, X), and the votes, logits."""
        logits = self.segmentor(image).float()
        either, votes = self.of_classes(logits[:, : self.of_classes.heads]), logits[:, self.of_classes.heads :]
        return either + logsigmoid(-votes), either + logsigmoid(votes), votes


class _WithVotes(nn.Module):
    """nnU-Net's last layer with further outputs, which are 0 at first."""

    def __init__(self, layer: nn.Module, votes: int) -> None:
        super().__init__()
        self.layer = layer
        self.votes = nn.Conv3d(cast(nn.Conv3d, layer).in_channels, votes, 1)
        nn.init.zeros_(self.votes.weight)
        nn.init.zeros_(cast(Tensor, self.votes.bias))

    def forward(self, x: Tensor) -> Tensor:
        """Return both, one after the other."""
        return torch.cat([self.layer(x), self.votes(x)], dim=1)


def blurred(volume: Tensor, sigma: float) -> Tensor:
    """Return volumes (B, C, Z, Y, X), blurred by a Gaussian of so many voxels; edges repeat."""
    reach = round(TRUNCATE * sigma)
    kernel = torch.exp(-((torch.arange(-reach, reach + 1, device=volume.device) / sigma) ** 2) / 2)
    kernel = (kernel / kernel.sum()).to(volume.dtype)
    channels = volume.shape[1]
    for axis in range(3):
        shape, sides = [1, 1, 1], [0] * 6
        shape[axis], sides[4 - 2 * axis], sides[5 - 2 * axis] = -1, reach, reach
        weight = kernel.reshape(1, 1, *shape).expand(channels, 1, *(len(kernel) if side == -1 else 1 for side in shape))
        volume = conv3d(pad(volume, sides, mode="replicate"), weight, groups=channels)
    return volume


def read_generator(path: Path, cure: str) -> Content:
    """Read a generator onto the CPU, in evaluation mode; `cure` ends the message when that fails."""
    return read_network(path, FreeTumorDesign, Content, "generator of FreeTumor", cure)


def frozen(network: nn.Module) -> nn.Module:
    """Return a segmentor that learns nothing more, with its finest output only."""
    return single_output(network).requires_grad_(False).eval()


def single_output(network: nn.Module) -> nn.Module:
    """Return a segmentor with its finest output only."""
    cast(Any, network).decoder.deep_supervision = False
    return network
