"""Small designs, judges and batches for tests of FreeTumor."""

import numpy as np
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from torch import Tensor, nn

from nnunetv2_tf.baseline.class_probabilities import ClassProbabilities
from nnunetv2_tf.methods.freetumor.networks import Discriminator, FreeTumorDesign, frozen, single_output
from nnunetv2_tf.methods.freetumor.patches import HOST_VOLUMES
from nnunetv2_tf.networks.levels import Levels
from nnunetv2_tf.training.intensity_range import IntensityRange
from nnunetv2_tf.training.real_patches import REAL

SIZE, SPACING = (16, 16, 16), (1.0, 1.0, 1.0)
CLASSES = (1, 3)
LABELS = 4  # of the segmentor: background and 1 to 3


def design(channels: int = 1, smooth: float = 0.0, textured: bool = False) -> FreeTumorDesign:
    names = tuple(map(str, range(channels)))
    domain = IntensityRange((-2.0,) * channels, (2.0,) * channels)
    return FreeTumorDesign(names, CLASSES, (4, 8), Levels.of(SIZE, SPACING, 2), smooth, textured, domain)


def network(channels: int = 1) -> nn.Module:
    """As nnU-Net builds one, small; always the same weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return PlainConvUNet(
            channels, 2, (4, 8), nn.Conv3d, 3, (1, 2), 1, LABELS, 1, conv_bias=True, norm_op=nn.InstanceNorm3d,
            norm_op_kwargs={"affine": True}, nonlin=nn.LeakyReLU, deep_supervision=True,
        )  # fmt: skip


def judges(channels: int = 1) -> tuple[nn.Module, Discriminator]:
    """Segmentor and discriminator, of the same weights."""
    of_classes = ClassProbabilities(LABELS, CLASSES, False)
    return frozen(network(channels)), Discriminator(single_output(network(channels)), of_classes)


def batch(channels: int = 1, seed: int = 0, number: int = 2) -> dict[str, Tensor]:
    """Hosts of noise with a ball to fill, and real brains, in which classes have a brightness each."""
    rng = np.random.default_rng(seed)
    patches = []
    for place in range(number):
        organ = np.linalg.norm(np.indices(SIZE) - 7.5, axis=0) < 7.5
        sides = []
        for _ in range(2):
            radius = np.linalg.norm(np.indices(SIZE) - rng.uniform(6, 10, 3)[:, None, None, None], axis=0)
            tumour = (np.select([radius < 2, radius < 4], CLASSES) * organ).astype(np.int16)
            image = (rng.normal(0, 0.1, (channels, *SIZE)) + 0.2) * organ
            sides.append((image.astype(np.float32), tumour, radius))
        (host, put_in, _), (real, tumour, radius) = sides
        real += (np.select([tumour == 1, tumour == 3], [-1.0, 1.0]) * organ).astype(np.float32)
        soft, texture = (put_in > 0).astype(np.float32), rng.random(SIZE).astype(np.float32)
        volumes = (host, put_in, np.zeros_like(put_in), soft, texture, organ, organ)
        distance = np.maximum(radius - 4, 0).astype(np.float32)
        patches.append({
            **dict(zip(HOST_VOLUMES, volumes, strict=True)), "n_norm": np.array(organ.sum()),
            **dict(zip(REAL, (real, tumour, organ, organ, distance), strict=True)), "place": np.array(place),
        })  # fmt: skip
    return {name: torch.from_numpy(np.stack([patch[name] for patch in patches])) for name in patches[0]}
