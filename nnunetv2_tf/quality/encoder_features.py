"""Tumours as an encoder sees them. In: examples, and an encoder that no method learnt through. Out: features."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool3d

from nnunetv2_tf.baseline.encoder import Encoder, crop_size
from nnunetv2_tf.quality.examples import Example


@torch.no_grad()
def encoder_features(examples: Sequence[Example], encoder: Encoder, device: torch.device) -> list[np.ndarray]:
    """Return by stage (N, 3 F): mean and standard deviation of features in the tumour, and mean around it.

    Args:
        examples: N of them
        encoder: on the device
        device: where to work
    """
    rows = [_of_example(example, encoder, device) for example in examples]
    return [np.array([row[stage] for row in rows]) for stage in range(len(rows[0]))]


def _of_example(example: Example, encoder: Encoder, device: torch.device) -> list[np.ndarray]:
    size = crop_size(example.tumour.shape)
    more = [(0, wanted - extent) for wanted, extent in zip(size, example.tumour.shape, strict=True)]
    image = torch.from_numpy(np.pad(example.image, [(0, 0), *more]))[None].to(device)
    tumour = example.tumour > 0
    places = [torch.from_numpy(np.pad(mask, more)) for mask in (tumour, example.organ & ~tumour)]
    found = []
    for feature in encoder(image):
        inside, around = (_share(mask, feature) for mask in places)
        mean = _mean(feature, inside)
        sd = _mean((feature - mean[None, :, None, None, None]) ** 2, inside).clamp_min(0).sqrt()
        found.append(torch.cat([mean, sd, _mean(feature, around)]).cpu().numpy())
    return found


def _share(mask: Tensor, feature: Tensor) -> Tensor:
    """Return (z, y, x): how much of each place of a feature map a mask covers."""
    size = tuple(feature.shape[2:])
    return adaptive_avg_pool3d(mask[None, None].to(feature), size)[0, 0]  # pyright: ignore[reportArgumentType]


def _mean(feature: Tensor, weight: Tensor) -> Tensor:
    """Return (F,): the mean over places, weighted."""
    return torch.einsum("fzyx,zyx->f", feature[0], weight) / weight.sum().clamp_min(1e-6)
