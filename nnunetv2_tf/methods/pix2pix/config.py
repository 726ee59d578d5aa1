"""Settings of Pix2Pix, and its presets."""

from dataclasses import dataclass, replace

from nnunetv2_tf.methods.base import CheckConfig
from nnunetv2_tf.tumours.sampling_config import AS_PUBLISHED, USUAL


@dataclass(frozen=True)
class Pix2PixConfig:
    """How images are made of maps, and how the generator is trained."""

    largest_patch: int = 128  # voxels along an axis; less where the plans' patch is smaller
    levels: int = 6  # resolution levels of the generator; fewer where the patch is too small
    features: tuple[int, ...] | None = None  # of the generator's levels; None: as the plans' network has
    discriminator_width: int = 64  # features of its first stage
    lambda_l1: float = 100.0  # weight of the L1 loss beside the adversarial one
    l1_in_organ: bool = True  # averaged over the organ; else over all of the patch, most of which is air
    centred: float = 2 / 3  # share of patches that lie around the tumour, the others anywhere in the organ
    augmented: bool = True  # by `training.augmentation`
    epochs: int = 200
    iterations: int = 250  # steps per epoch
    batch: int = 1
    rate: float = 2e-4  # of both; falls evenly to 0 over the second half
    betas: tuple[float, float] = (0.5, 0.999)  # of Adam
    preview_every: int = 10  # epochs


PRESETS = {
    "default": Pix2PixConfig(),
    "paper": Pix2PixConfig(l1_in_organ=False),
    "brief": Pix2PixConfig(discriminator_width=32, epochs=6, preview_every=2),
}
CHECKED = {"paper": CheckConfig(rejects=False)}
SAMPLING = {"paper": AS_PUBLISHED, **dict.fromkeys(("default", "brief"), replace(USUAL, harmonised=False))}
