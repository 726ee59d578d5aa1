"""Settings of FreeTumor, and its presets."""

from dataclasses import dataclass

from nnunetv2_tf.methods.base import CheckConfig
from nnunetv2_tf.tumours.sampling_config import AS_PUBLISHED
from nnunetv2_tf.tumours.shapes import ShapeConfig


@dataclass(frozen=True)
class FreeTumorConfig:
    """How tumours are put in, and how the generator is trained."""

    largest_patch: int = 96  # voxels along an axis; less where the plans' patch is smaller
    levels: int = 5  # resolution levels of the generator; fewer where the patch is too small
    features: tuple[int, ...] | None = None  # of the generator's levels; None: as the plans' network has
    edge_mm: tuple[float, float] = (1.0, 2.0)  # standard deviation of the soft edge, drawn for each tumour
    smooth_voxels: float = 0.0  # standard deviation of a blur of what the generator adds; 0: none
    textured: bool = False  # what it adds is multiplied with handcrafted texture, which it is shown in any case
    logarithmic: bool = True  # losses are -log p; else 1 - p, whose gradient vanishes where a network is sure
    lambda_adv: float = 1.0
    lambda_seg: float = 1.0
    sure_as_of_real: bool = True  # S is asked to be as sure of synthetic tumours as it is of real ones, no surer
    free_sides: float = 0.5  # share of sites in patients, on the side free of their tumour
    unlabelled: float = 0.25  # share of sites in unlabelled scans; others, and where there are none: healthy hosts
    average: float = 0.995  # decay of the moving average of the generator's weights; 0: no averaging
    augmented: bool = True  # by `training.augmentation`
    epochs: int = 100
    iterations: int = 250  # steps per epoch
    batch: int = 2
    rate: float = 1e-4  # of both
    betas: tuple[float, float] = (0.0, 0.999)  # of Adam
    preview_every: int = 10  # epochs
    pool: int | None = 200  # sites in use at a time; None: always new ones
    renewed: int = 20  # sites of the pool that new ones take the place of after every epoch


PRESETS = {
    "default": FreeTumorConfig(),
    "paper": FreeTumorConfig(
        features=(32, 64, 128, 256, 512),
        edge_mm=(1.5, 3.0),
        smooth_voxels=1.0,
        textured=True,
        logarithmic=False,
        lambda_adv=0.1,
        sure_as_of_real=False,
        average=0.0,
        batch=4,
        renewed=0,
    ),
    "brief": FreeTumorConfig(largest_patch=48, epochs=6, iterations=200, batch=1, preview_every=2),
}
SAMPLING = {"paper": AS_PUBLISHED}
SHAPES = {"paper": ShapeConfig(like_cohort=False)}
CHECKED = {"paper": CheckConfig(rejects=False)}
