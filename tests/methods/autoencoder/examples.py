"""Small designs and batches for tests of the autoencoder and of DiffTumor."""

from dataclasses import replace

import torch
from torch import Tensor

from nnunetv2_tf.methods.autoencoder.config import PRESETS
from nnunetv2_tf.methods.autoencoder.fitting import AutoencoderTrainer
from nnunetv2_tf.methods.autoencoder.saved import AutoencoderDesign
from nnunetv2_tf.networks.levels import Levels
from nnunetv2_tf.training.intensity_range import IntensityRange
from tests.methods.pix2pix.examples import SIZE, SPACING
from tests.methods.pix2pix.examples import batch as real_batch
from tests.scenes import CPU, EXACT

SMALL = replace(PRESETS["default"], features=(4, 8), latent=3, epochs=2, augmented=False, rate=3e-3)
ADVERSARIAL = replace(SMALL, codebook=16, lambda_adversarial=0.1, lambda_features=1.0)


def design(channels: int = 1, codebook: int = 0) -> AutoencoderDesign:
    names = tuple(map(str, range(channels)))
    domain = IntensityRange((-2.0,) * channels, (2.0,) * channels)
    return AutoencoderDesign(names, (4, 8), 3, Levels.of(SIZE, SPACING, 2), codebook, domain)


def trainer(config=SMALL, channels: int = 1, seed: int = 0) -> AutoencoderTrainer:
    return AutoencoderTrainer(config, design(channels, config.codebook), SPACING, seed, CPU, EXACT)


def batch(channels: int = 1, seed: int = 0, number: int = 2) -> dict[str, Tensor]:
    """Brains with tumours, named as the autoencoder's batches are and as DiffTumor's."""
    given = real_batch(channels, seed, number)
    return {**given, **{name.removeprefix("real_"): value for name, value in given.items()}}


def learnt(steps: int, config=SMALL) -> AutoencoderTrainer:
    """An autoencoder that has seen one batch often."""
    training = trainer(config)
    with torch.enable_grad():
        for step in range(steps):
            training.step(batch(), 0, step)
    return training
