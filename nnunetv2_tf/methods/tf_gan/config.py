"""Settings of TF-GAN, and its presets."""

from collections.abc import Sequence
from dataclasses import dataclass

from nnunetv2_tf.methods.base import CheckConfig
from nnunetv2_tf.tumours.sampling_config import AS_PUBLISHED, FRONT

DISTANCE_CLIP_MM = 30.0  # where distance maps are clipped


@dataclass(frozen=True)
class TFGANConfig:
    """How coarse images are refined, and how the generator is trained."""

    largest_patch: int = 128  # voxels along an axis; less where the plans' patch is smaller
    around_tumours: bool = True  # patches are as large as the median tumour; else as the plans' are
    levels: int = 6  # resolution levels of the generator; fewer where the patch is too small
    features: tuple[int, ...] | None = None  # of the generator's levels; None: as the plans' network has
    residual: bool = True  # x_s = x_s' + tanh(G); else tanh(G)
    reach_mm: float | None = 3.0  # how far around the tumour G may change, and D sees; None: all of the organ
    reach_voxels: float = 2.0  # at least so many voxels of the finest axis
    rim_mm: float = 8.0  # depth of the organ's rim, which D does not see and G does not change; 0: no rim
    on_features: bool = True  # D judges the frozen encoder's features, too; else the image alone, as in the paper
    head_width: int = 16  # features of D's branches, where it judges features
    discriminator_features: tuple[int, ...] | None = None  # of its stages, else; None: twice the generator's
    tap: int = 5  # stage after which its patch head branches off
    held_out: float = 0.2  # share of patients that D does not learn from; they decide who learns; 0: everybody does
    free_sides: float = 0.5  # share of sites in patients, on the side free of their tumour; others: healthy hosts
    average: float = 0.995  # decay of the moving average of the generator's weights; 0: no averaging
    by_gradient: bool = True  # lambdas a, b, d, e are sizes of gradients at tumour voxels; else weights of losses
    lambda_a: float = 0.5  # of the adversarial loss of patches
    lambda_b: float = 0.1  # of the adversarial loss of whole images
    lambda_c: tuple[float, float] = (30.0, 30.0)  # weight of the hinge, in the first and in the last epoch
    lambda_d: float = 0.0  # of the perceptual loss
    lambda_e: float = 1.0  # of the distance between textures
    margin: float = 0.02  # of the hinge, for intensities in [-1, 1]
    margin_near: float = 0.13  # added to it at the tumour, falling by a factor of e every margin_mm
    margin_mm: float = 6.0
    centred: float = 1.0  # share of patches that lie around the tumour, the others anywhere in the organ
    augmented: bool = True  # by `training.augmentation`
    shake: tuple[float, float, float] = (0.2, 0.1, 0.3)  # sds of random contrast, brightness, grain of what D sees
    epochs: int = 200
    iterations: int = 250  # steps per epoch
    batch: int = 2
    rate_g: float = 2e-4  # learning rates of generator and discriminator
    rate_d: float = 1e-3
    betas: tuple[float, float] = (0.5, 0.999)  # of Adam
    preview_every: int = 10  # epochs
    pool: int | None = 200  # sites in use at a time; None: always new ones
    renewed: int = 20  # sites of the pool that new ones take the place of after every epoch

    def reach(self, spacing: Sequence[float]) -> float | None:
        """Return how far around the tumour the generator may change (mm)."""
        return None if self.reach_mm is None else max(self.reach_mm, self.reach_voxels * min(spacing))


PRESETS = {
    "default": TFGANConfig(),
    "front": TFGANConfig(),
    "paper": TFGANConfig(
        around_tumours=False,
        features=(32, 64, 128, 256, 320, 320),
        residual=False,
        reach_mm=None,
        rim_mm=0.0,
        on_features=False,
        discriminator_features=(64, 128, 256, 512, 512),
        held_out=0.0,
        free_sides=0.0,
        average=0.0,
        by_gradient=False,
        lambda_a=10.0,
        lambda_b=1.0,
        lambda_c=(10.0, 1.0),
        lambda_d=1.0,
        lambda_e=0.0,
        margin=0.05,
        margin_near=0.0,
        centred=2 / 3,
        shake=(0.0, 0.0, 0.0),
        rate_d=1e-4,
        renewed=0,
    ),
    "brief": TFGANConfig(epochs=6, preview_every=2),
}
SAMPLING = {"paper": AS_PUBLISHED, "front": FRONT}
CHECKED = {"paper": CheckConfig(rejects=False)}
