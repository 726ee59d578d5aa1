"""Settings of TF-GAN, and its presets."""

from dataclasses import dataclass, field

from nnunetv2_tf.io.json_dataclass import ONLY_IF_SET
from nnunetv2_tf.methods.base import CheckConfig
from nnunetv2_tf.tumours.sampling_config import AS_PUBLISHED, FRONT

DEFAULT_CLIP_MM = 30.0  # mm; where distance maps are clipped when no limit is set


@dataclass(frozen=True)
class TFGANConfig:
    """How coarse images are refined, and how the generator is trained."""

    largest_patch: int = 128  # voxels along an axis; less where the plans' patch is smaller
    levels: int = 6  # resolution levels of both networks; fewer where the patch is too small
    features: tuple[int, ...] | None = None  # of the generator's levels; None: as the plans' network has
    discriminator_features: tuple[int, ...] | None = None  # of the discriminator's stages; None: twice the generator's
    residual: bool = True  # x_s = x_s' + tanh(G); else tanh(G)
    reach_mm: float | None = 3.0  # how far around the tumour the generator may change; None: all of the organ
    view_mm: float | None = 10.0  # how far around the tumour the discriminator sees; None: everything
    rim_mm: float = 8.0  # depth of the organ's rim, which D does not see and G does not change; 0: no rim
    tap: int = 4  # stage of the discriminator after which its patch head branches off
    spectral: bool = True  # spectral norm in the discriminator, else instance norm
    r1: float = 1.0  # weight of the gradient penalty on real images; 0: none
    r1_every: int = 16  # steps from one penalty to the next
    average: float = 0.999  # decay of the moving average of the generator's weights; 0: no averaging
    prototypes: bool = True  # perceptual loss against mean features of all real cases, else of the batch's
    lambda_a: float = 10.0  # weight of the adversarial loss of patches
    lambda_b: float = 1.0  # of the adversarial loss of whole images
    lambda_c: tuple[float, float] = (10.0, 10.0)  # of the hinge, in the first and in the last epoch
    lambda_d: float = 10.0  # of the perceptual loss
    margin: float = 0.02  # of the hinge, for intensities in [-1, 1]
    margin_near: float = 0.13  # added to it at the tumour, falling by a factor of e every margin_mm
    margin_mm: float = 6.0
    centred: float = 1.0  # share of patches that lie around the tumour, the others anywhere in the organ
    augmented: bool = True  # by `training.augmentation`
    shake: float = 0.05  # standard deviation of random brightness and contrast of what D sees
    epochs: int = 200
    iterations: int = 250  # per epoch at most; fewer where they would use more sites than there are healthy scans
    batch: int = 2
    rate_g: float = 2e-4  # learning rates of generator and discriminator
    rate_d: float = 4e-4
    betas: tuple[float, float] = (0.5, 0.999)  # of Adam
    preview_every: int = 10  # epochs
    # sites in use at a time, and of them new ones after every epoch; None: always new ones
    pool: int | None = field(default=None, metadata={ONLY_IF_SET: True})
    renewed: int = field(default=0, metadata={ONLY_IF_SET: True})

    def __post_init__(self) -> None:
        if self.r1 and not self.spectral:
            raise ValueError("The gradient penalty wants spectral norm: without, the discriminator has instance norm.")

    @property
    def distance_clip_mm(self) -> float:
        """Distance maps are clipped here (mm)."""
        return max(DEFAULT_CLIP_MM if most is None else most for most in (self.reach_mm, self.view_mm))


PRESETS = {
    "default": TFGANConfig(pool=200, renewed=20),
    "front": TFGANConfig(pool=200, renewed=20),
    "paper": TFGANConfig(
        features=(32, 64, 128, 256, 320, 320),
        discriminator_features=(64, 128, 256, 512, 512),
        rate_d=1e-4,
        residual=False,
        reach_mm=None,
        view_mm=None,
        rim_mm=0.0,
        lambda_c=(10.0, 1.0),
        lambda_d=1.0,
        centred=2 / 3,
        tap=5,
        spectral=False,
        r1=0.0,
        average=0.0,
        prototypes=False,
        margin=0.05,
        margin_near=0.0,
        shake=0.0,
    ),
    "brief": TFGANConfig(epochs=20, pool=200, renewed=20),
}
SAMPLING = {"paper": AS_PUBLISHED, "front": FRONT}
CHECKED = {"paper": CheckConfig(rejects=False)}
