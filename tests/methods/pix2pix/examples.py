"""Small designs and batches for tests of Pix2Pix."""

import numpy as np
import torch
from torch import Tensor

from nnunetv2_tf.methods.pix2pix.networks import Pix2PixDesign
from nnunetv2_tf.networks.levels import Levels
from nnunetv2_tf.training.intensity_range import IntensityRange
from nnunetv2_tf.training.real_patches import REAL

SIZE, SPACING = (16, 16, 16), (1.0, 1.0, 1.0)
CLASSES = (1, 3)


def design(channels: int = 1) -> Pix2PixDesign:
    names = tuple(map(str, range(channels)))
    domain = IntensityRange((-2.0,) * channels, (2.0,) * channels)
    return Pix2PixDesign(names, CLASSES, (4, 8), Levels.of(SIZE, SPACING, 2), domain)


def batch(channels: int = 1, seed: int = 0, number: int = 2) -> dict[str, Tensor]:
    """Brains of noise, in which classes have a brightness each."""
    rng = np.random.default_rng(seed)
    patches = []
    for place in range(number):
        centre = rng.uniform(6, 10, 3)[:, None, None, None]
        radius = np.linalg.norm(np.indices(SIZE) - centre, axis=0)
        organ = np.linalg.norm(np.indices(SIZE) - 7.5, axis=0) < 7.5
        tumour = np.select([radius < 2, radius < 4], CLASSES).astype(np.int16) * organ
        image = rng.normal(0, 0.1, (channels, *SIZE)) + np.select([tumour == 1, tumour == 3], [-1.0, 1.0], 0.2)
        volumes = ((image * organ).astype(np.float32), tumour.astype(np.int16), organ, organ)
        distance = np.maximum(radius - 4, 0).astype(np.float32)
        patches.append({**dict(zip(REAL, (*volumes, distance), strict=True)), "place": np.array(place)})
    return {name: torch.from_numpy(np.stack([patch[name] for patch in patches])) for name in patches[0]}
