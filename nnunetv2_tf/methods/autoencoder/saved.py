"""Trained autoencoders in files."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from nnunetv2_tf.networks.autoencoder import Autoencoder
from nnunetv2_tf.networks.levels import Levels
from nnunetv2_tf.networks.saved import read_network
from nnunetv2_tf.training.intensity_range import IntensityRange

WEIGHTS = "autoencoder.safetensors"


@dataclass(frozen=True)
class AutoencoderDesign:
    """All that is needed to build an autoencoder and to use it."""

    channels: tuple[str, ...]
    features: tuple[int, ...]
    latent: int
    levels: Levels
    codebook: int
    domain: IntensityRange


class ScanAutoencoder(nn.Module):
    """An autoencoder of images as nnU-Net normalises them."""

    def __init__(self, design: AutoencoderDesign) -> None:
        super().__init__()
        self.design = design
        self.network = Autoencoder(
            len(design.channels), design.features, design.latent, design.levels, design.codebook
        )  # fmt: skip

    def latents(self, image: Tensor, body: Tensor) -> Tensor:
        """Return latents (B, L, z, y, x) of images (B, C, Z, Y, X), z, with a body (B, Z, Y, X)."""
        return self.network.encode(self.design.domain.normalise(image, body))

    def image(self, latents: Tensor) -> Tensor:
        """Return images, z, of latents."""
        return self.design.domain.denormalise(self.network.decode(latents))


def read_autoencoder(path: Path, cure: str) -> ScanAutoencoder:
    """Read an autoencoder onto the CPU, in evaluation mode; `cure` ends the message when that fails."""
    return read_network(path, AutoencoderDesign, ScanAutoencoder, "autoencoder", cure)
