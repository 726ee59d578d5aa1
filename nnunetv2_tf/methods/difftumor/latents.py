"""The diffusion model. In: latents of scans, and maps. Out: latents of tumours that fit what is around them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool3d

from nnunetv2_tf.baseline.class_features import class_masks
from nnunetv2_tf.methods.autoencoder.saved import ScanAutoencoder
from nnunetv2_tf.networks.autoencoder import strides_of
from nnunetv2_tf.networks.denoiser import Denoiser
from nnunetv2_tf.networks.diffusion import Sampler, Schedule, Target, sampled
from nnunetv2_tf.networks.levels import Levels
from nnunetv2_tf.networks.saved import read_network

WEIGHTS = "denoiser.safetensors"


@dataclass(frozen=True)
class LatentRange:
    """What of latents becomes 0 and 1, by channel: mean and standard deviation, or middle and half the range."""

    middle: tuple[float, ...]
    scale: tuple[float, ...]

    def normalise(self, z: Tensor) -> Tensor:
        """Return latents (B, L, z, y, x), normalised."""
        return (z - self._shaped(self.middle, z)) / self._shaped(self.scale, z)

    def denormalise(self, z: Tensor) -> Tensor:
        """Return normalised latents as the autoencoder knows them."""
        return z * self._shaped(self.scale, z) + self._shaped(self.middle, z)

    @staticmethod
    def _shaped(values: Sequence[float], like: Tensor) -> Tensor:
        return torch.tensor(values, dtype=like.dtype, device=like.device).reshape(1, -1, 1, 1, 1)


@dataclass(frozen=True)
class DiffTumorDesign:
    """All that is needed to build a diffusion model and to use it."""

    classes: tuple[int, ...]  # values of the tumour map
    latent: int  # channels of a latent
    features: tuple[int, ...]
    levels: Levels  # on the latents' grid
    times: int
    target: Target
    range: LatentRange


class LatentDiffusion(nn.Module):
    """Predicts, of noisy latents and what is known beside them, the design's target."""

    def __init__(self, design: DiffTumorDesign) -> None:
        super().__init__()
        self.design, self.schedule = design, Schedule(design.times)
        known = design.latent + len(design.classes)
        self.denoiser = Denoiser(design.latent + known, design.latent, design.features, design.levels)

    def forward(self, zt: Tensor, t: Tensor, known: Tensor) -> Tensor:
        """Return (B, L, z, y, x) of normalised noisy latents, times (B,), and what `known_beside` returns."""
        return self.denoiser(torch.cat([zt, known], dim=1), t)

    def sample(
        self, known: Tensor, noise: Sequence[Tensor], sampler: Sampler, steps: int, limit: float | None
    ) -> Tensor:
        """Return normalised latents that fit what is known, in so many steps."""
        return sampled(
            self.schedule, self.design.target, lambda zt, t: self(zt, t, known), noise, sampler, steps, limit
        )  # fmt: skip


def known_beside(
    autoencoder: ScanAutoencoder, design: DiffTumorDesign, image: Tensor, body: Tensor, tumour: Tensor
) -> Tensor:  # fmt: skip
    """Return (B, L + K, z, y, x): normalised latents of the scan with the tumour cut out, and each class's share.

    Args:
        autoencoder: the one that latents are of
        design: of the diffusion model
        image: (B, C, Z, Y, X), z; only what is outside the tumour counts
        body: (B, Z, Y, X) bool
        tumour: (B, Z, Y, X) the map
    """
    middle = autoencoder.design.domain.denormalise(torch.zeros_like(image))
    cut = torch.where((tumour > 0)[:, None], middle, image)
    around = design.range.normalise(autoencoder.latents(cut, body))
    return torch.cat([around, 2 * shares_on_latents(autoencoder, tumour, design.classes) - 1], dim=1)


def shares_on_latents(autoencoder: ScanAutoencoder, tumour: Tensor, classes: Sequence[int]) -> Tensor:
    """Return (B, K, z, y, x): each class's share of what a latent stands for."""
    masks = class_masks(tumour, classes).float()
    return avg_pool3d(masks, strides_of(autoencoder.design.levels))


def latent_levels(autoencoder: ScanAutoencoder, patch: Sequence[int], spacing: Sequence[float], most: int) -> Levels:
    """Return the denoiser's levels for patches of an image."""
    strides = np.array(strides_of(autoencoder.design.levels))
    return Levels.of((-(-np.array(patch) // strides)).tolist(), (np.array(spacing) * strides).tolist(), most)


def read_diffusion(path: Path, cure: str) -> LatentDiffusion:
    """Read a diffusion model onto the CPU, in evaluation mode; `cure` ends the message when that fails."""
    return read_network(path, DiffTumorDesign, LatentDiffusion, "diffusion model of DiffTumor", cure)
