"""What methods that learn might have learnt: small networks of random weights, made-up a and b."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nnunetv2_tf.io.files import write_json
from nnunetv2_tf.io.json_dataclass import to_json
from nnunetv2_tf.methods.autoencoder.saved import WEIGHTS as AUTOENCODER
from nnunetv2_tf.methods.autoencoder.saved import AutoencoderDesign, ScanAutoencoder
from nnunetv2_tf.methods.difftumor.latents import WEIGHTS as DENOISER
from nnunetv2_tf.methods.difftumor.latents import DiffTumorDesign, LatentDiffusion, LatentRange, latent_levels
from nnunetv2_tf.methods.freetumor.networks import Content, FreeTumorDesign
from nnunetv2_tf.methods.pix2pix.networks import MapToImage, Pix2PixDesign
from nnunetv2_tf.methods.tf_aug.fitting import FINAL, IntensityMap
from nnunetv2_tf.methods.tf_gan.networks import WEIGHTS, Design, Generator
from nnunetv2_tf.networks.levels import Levels
from nnunetv2_tf.networks.saved import weights_of, write_network
from nnunetv2_tf.training.intensity_range import IntensityRange
from nnunetv2_tf.working_space.preprocess import Plan

FILES = {"autoencoder": AUTOENCODER, "difftumor": DENOISER}
FEATURES, SIZE = (4, 4, 4), (16, 16, 16)


def write_learnt(name: str, folder: Path, plan: Plan, classes: tuple[int, ...]) -> Path | None:
    """Write what a method has learnt and return where; None for a method that learns nothing.

    A network that is there already stays: it would be the same.
    """
    channels = tuple(plan.dataset_json["channel_names"].values())
    if name == "tf_aug":
        a, b = (tuple((first + 0.1 * k,) * len(channels) for k in range(len(classes))) for first in (0.8, -0.5))
        fitted = IntensityMap(classes, tuple(map(str, classes)), channels, a, b, (0.5,), (a,), (b,))
        write_json(folder / FINAL, to_json(fitted))
        return folder
    z, y, x = plan.manager.spacing
    levels = Levels.of(SIZE, plan.manager.spacing, 3)
    domain = IntensityRange((-2.0,) * len(channels), (2.0,) * len(channels))
    usual = channels, classes, FEATURES, levels
    encoding = AutoencoderDesign(channels, FEATURES[:2], 2, Levels.of(SIZE, plan.manager.spacing, 2), 0, domain)
    on_latents = latent_levels(ScanAutoencoder(encoding), SIZE, plan.manager.spacing, 2)
    scale = LatentRange((0.0,) * 2, (1.0,) * 2)
    builders: dict[str, tuple[Callable[[Any], nn.Module], Any]] = {
        "tf_gan": (_changing, Design(*usual, True, 6.0, 0.0, (z, y, x), domain)),
        "pix2pix": (MapToImage, Pix2PixDesign(*usual, domain)),
        "freetumor": (Content, FreeTumorDesign(*usual, 0.0, False, domain)),
        "autoencoder": (ScanAutoencoder, encoding),
        "difftumor": (LatentDiffusion, DiffTumorDesign(classes, 2, FEATURES, on_latents, 8, "v", scale)),
    }
    if name not in builders:
        return None
    build, design = builders[name]
    path = folder / name / FILES.get(name, WEIGHTS)
    if path.exists():
        return path.parent
    with torch.random.fork_rng():
        torch.manual_seed(0)
        write_network(path, design, weights_of(build(design)))
    return path.parent


def _changing(design: Design) -> Generator:
    """Return a generator as if it had begun to change something."""
    generator = Generator(design)
    torch.nn.init.normal_(generator.network.head.weight, std=0.1)
    return generator
