"""Settings of the autoencoder, and its presets."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class AutoencoderConfig:
    """How coarse latents are, and how the autoencoder is trained."""

    largest_patch: int = 96  # voxels along an axis; less where the plans' patch is smaller
    halvings: int | None = None  # of the grid; None: as many as leave latents no coarser than latent_mm, at least one
    latent_mm: float = 5.0  # along the finest axis
    features: tuple[int, ...] = (16, 32, 64)  # of the levels, the finest first
    latent: int = 8  # channels of latents
    codebook: int = 0  # vectors that latents are rounded to; 0: they stay as they are, which keeps small tumours better
    real: float = 0.5  # share of patches that are of patients, the others of healthy scans
    centred: float = 0.5  # of the patients' patches, the share that lies around tumours
    lambda_tumour: float = 1.0  # weight of the L1 distance in tumours, beside that in the body
    lambda_air: float = 0.1  # and of that beyond the body
    lambda_latent: float = 1e-3  # of latents' mean square, or with a codebook of their distance to it
    lambda_adversarial: float = 0.0
    lambda_features: float = 0.0  # of the distance between the discriminator's features
    adversarial_from: int = 0  # epoch
    augmented: bool = True  # by `training.augmentation`
    epochs: int = 100
    iterations: int = 250  # steps per epoch
    batch: int = 2
    rate: float = 3e-4
    betas: tuple[float, float] = (0.9, 0.999)  # of Adam
    preview_every: int = 10  # epochs


PRESETS = {
    "default": AutoencoderConfig(),
    "paper": AutoencoderConfig(
        halvings=2,
        codebook=16384,
        lambda_tumour=0.0,
        lambda_air=1.0,
        lambda_latent=0.0625,  # .25 beside an L1 of weight 4
        lambda_adversarial=0.25,
        lambda_features=1.0,
        adversarial_from=40,
        epochs=320,
        rate=3e-4 / 16,
        betas=(0.5, 0.9),
    ),
    "brief": replace(AutoencoderConfig(), largest_patch=48, epochs=6, iterations=150, preview_every=2),
}
