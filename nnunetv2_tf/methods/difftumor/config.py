"""Settings of DiffTumor, and its presets."""

from dataclasses import dataclass, replace
from typing import Literal

from nnunetv2_tf.methods.base import CheckConfig
from nnunetv2_tf.networks.diffusion import Sampler, Target
from nnunetv2_tf.tumours.sampling_config import AS_PUBLISHED
from nnunetv2_tf.tumours.shapes import ShapeConfig


@dataclass(frozen=True)
class DiffTumorConfig:
    """How tumours are drawn, and how the diffusion model is trained."""

    largest_patch: int = 96  # voxels of the image along an axis; less where the plans' patch is smaller
    levels: int = 3  # resolution levels of the denoiser, on latents; fewer where these are too few
    features: tuple[int, ...] = (64, 128, 256)  # of these levels
    times: int = 1000  # from data to noise, in training
    target: Target = "v"
    sampler: Sampler = "ddim"
    steps: int = 4  # from noise to data, when a tumour is drawn; -T
    scaled: Literal["deviation", "range"] = "deviation"  # what becomes 1: latents' standard deviation, or the largest
    limit: float | None = 4.0  # beyond which, in these units, no latent is let; None: any is
    edge_mm: tuple[float, float] = (0.5, 2.0)  # standard deviation of the soft edge, drawn for each tumour
    squared: bool = True  # the loss is the mean square; else the mean absolute difference
    lambda_outside: float = 0.1  # weight of latents away from tumours, beside that of those in them
    average: float = 0.995  # decay of the moving average of weights; 0: no averaging
    augmented: bool = True  # by `training.augmentation`
    epochs: int = 200
    iterations: int = 250  # steps per epoch
    batch: int = 2
    rate: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)  # of Adam
    clip: float | None = 1.0  # norm of gradients, beyond which they are made shorter: one step must not undo all others
    preview_every: int = 10  # epochs


PRESETS = {
    "default": DiffTumorConfig(),
    "paper": DiffTumorConfig(
        levels=4,
        features=(24, 48, 96, 192),
        times=4,
        target="e",
        sampler="ddpm",
        scaled="range",
        limit=1.0,
        edge_mm=(0.0, 4.0),
        squared=False,
        lambda_outside=1.0,
        clip=None,
        batch=4,
        epochs=240,
    ),
    "brief": replace(DiffTumorConfig(), largest_patch=48, features=(32, 64, 128), epochs=12, iterations=200, rate=3e-4),
}
SAMPLING = {"paper": AS_PUBLISHED}
SHAPES = {"paper": ShapeConfig(like_cohort=False)}
CHECKED = {"paper": CheckConfig(rejects=False)}
