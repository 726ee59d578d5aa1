"""Small designs for tests of DiffTumor."""

from dataclasses import replace

from nnunetv2_tf.methods.autoencoder.saved import ScanAutoencoder
from nnunetv2_tf.methods.difftumor.config import PRESETS
from nnunetv2_tf.methods.difftumor.fitting import DiffTumorTrainer
from nnunetv2_tf.methods.difftumor.latents import DiffTumorDesign, LatentRange, latent_levels
from tests.methods.autoencoder.examples import design
from tests.methods.pix2pix.examples import CLASSES, SIZE, SPACING
from tests.scenes import CPU, EXACT

SMALL = replace(PRESETS["default"], features=(8, 16), levels=2, times=50, epochs=2, augmented=False, rate=3e-3)


def diffusion_design(config=SMALL) -> DiffTumorDesign:
    levels = latent_levels(ScanAutoencoder(design()), SIZE, SPACING, config.levels)
    scale = LatentRange((0.0,) * 3, (1.0,) * 3)
    return DiffTumorDesign(CLASSES, 3, config.features, levels, config.times, config.target, scale)


def trainer(config=SMALL, autoencoder: ScanAutoencoder | None = None, seed: int = 0) -> DiffTumorTrainer:
    scan = (autoencoder or ScanAutoencoder(design())).eval().requires_grad_(False)
    return DiffTumorTrainer(config, diffusion_design(config), scan, SPACING, seed, CPU, EXACT)
