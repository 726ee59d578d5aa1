"""Realism of tumours to a network. In: images with tumour maps, and an encoder. Out: how far two collections differ.

The encoder must be one by which no method was fitted: that of a baseline trained with another seed. A method that was
fitted to please an encoder would score too well by it.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from nnunetv2_tf.baseline.class_features import features_around
from nnunetv2_tf.baseline.encoder import Encoder
from nnunetv2_tf.io.errors import UserError

DEGREE = 3  # of the polynomial kernel


def tumour_features(
    cases: Iterable[tuple[np.ndarray, np.ndarray]], encoder: Encoder, size: Sequence[int], device: torch.device
) -> np.ndarray:
    """Return (N, F): the mean features of whole tumours, all stages concatenated.

    Args:
        cases: image (C, Z, Y, X), as nnU-Net normalises, and tumour map (Z, Y, X)
        encoder: on the device
        size: of the patch around a tumour
        device: where to work
    """
    rows = []
    for image, tumour in cases:
        features = features_around(image, (tumour > 0).astype(np.int16), encoder, (1,), size, device)
        rows.append(torch.cat([stage[0, 0] for stage in features.means]).cpu().numpy())
    return np.array(rows)


def kernel_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Return the KID: the squared distance of two samples' means under the kernel (x.y / F + 1)^3, without bias.

    0 on average for samples of one distribution, and then below 0 as often as above.

    Args:
        first: (N, F)
        second: (M, F)
    """
    if min(len(first), len(second)) < 2:
        raise UserError(f"KID compares two cases or more on either side, not {len(first)} with {len(second)}.")
    kernels = (kernel(first, first), kernel(second, second))
    between = kernel(first, second)
    inside = [(within.sum() - np.trace(within)) / (len(within) * (len(within) - 1)) for within in kernels]
    return float(sum(inside) - 2 * between.mean())


def kernel(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return (N, M): the polynomial kernel of features (N, F) and (M, F)."""
    return (first.astype(np.float64) @ second.T.astype(np.float64) / first.shape[1] + 1) ** DEGREE
