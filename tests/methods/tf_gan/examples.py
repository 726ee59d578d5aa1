"""Small designs, batches and encoders."""

import numpy as np
import torch
from torch import Tensor, nn

from nnunetv2_tf.baseline.encoder import Encoder
from nnunetv2_tf.methods.tf_gan.networks import Design, Generator
from nnunetv2_tf.networks.levels import Levels
from nnunetv2_tf.training.intensity_range import IntensityRange

SIZE = (16, 16, 16)
SPACING = (1.0, 1.0, 1.0)


def design(channels: int = 1, classes: tuple[int, ...] = (1, 2, 3), residual: bool = True, **changes) -> Design:
    """Three levels of four features, values from -2 to 2."""
    settings = {
        "channels": tuple(f"c{index}" for index in range(channels)),
        "classes": classes,
        "features": (4, 4, 4),
        "levels": Levels.of(SIZE, SPACING, 3),
        "residual": residual,
        "reach_mm": 6.0 if residual else None,
        "rim_mm": 0.0,
        "spacing": SPACING,
        "domain": IntensityRange((-2.0,) * channels, (2.0,) * channels),
        **changes,
    }
    return Design(**settings)


def generator(**changes) -> Generator:
    """Of random weights, as if it had learnt to change something."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        found = Generator(design(**changes))
        nn.init.normal_(found.network.head.weight, std=0.3)
    return found.eval().requires_grad_(False)


def encoder(channels: int = 1) -> Encoder:
    """Three stages of random convolutions."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        stages = [
            nn.Conv3d(channels, 4, 3, padding=1),
            nn.Conv3d(4, 4, 3, stride=2, padding=1),
            nn.Conv3d(4, 4, 3, stride=2, padding=1),
        ]
    return Encoder(None, stages)


def ball(radius: float, size: tuple[int, ...] = SIZE) -> np.ndarray:
    """(Z, Y, X) bool."""
    places = np.indices(size) - ((np.array(size) - 1) / 2)[:, None, None, None]
    return np.linalg.norm(places, axis=0) < radius


def batch(channels: int = 1, seed: int = 0, number: int = 2) -> dict[str, Tensor]:
    """As Patches makes them: a ball of tumour, class 1 in class 2, in a ball of brain."""
    rng = np.random.default_rng(seed)
    body, tumour = ball(7.5), np.where(ball(2), 1, np.where(ball(4), 2, 0)).astype(np.int16)
    places = np.indices(SIZE) - 7.5
    distance = np.clip(np.linalg.norm(places, axis=0) - 4, 0, 10).astype(np.float32) * (tumour == 0)

    def images() -> np.ndarray:
        return (rng.normal(size=(number, channels, *SIZE)) * body).astype(np.float32)

    host = images()
    coarse = np.where(tumour > 0, 0.5 * host + 0.5, host).astype(np.float32)
    several = {
        "host": host, "coarse": coarse, "tumour": np.stack([tumour] * number), "body": np.stack([body] * number),
        "organ": np.stack([body] * number), "distance": np.stack([distance] * number),
        "n_norm": np.full(number, int(body.sum())), "place": np.arange(number),
        "beyond": np.zeros((number, 2, channels), np.float32),
        "real_image": images(), "real_tumour": np.stack([tumour] * number), "real_body": np.stack([body] * number),
        "real_organ": np.stack([body] * number), "real_distance": np.stack([distance] * number),
    }  # fmt: skip
    return {name: torch.from_numpy(array) for name, array in several.items()}
