"""Do tumours look real to a network? In: images with tumour maps, and an encoder. Out: how far two collections differ.

The encoder must be one that nothing was trained through: the baseline of another seed. Else what was trained to please
it would be measured by it.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from nnunetv2_tf.baseline.encoder import Encoder
from nnunetv2_tf.baseline.features import features_around
from nnunetv2_tf.errors import UserError

DEGREE = 3  # of the kernel


def tumour_features(
    cases: Iterable[tuple[np.ndarray, np.ndarray]], encoder: Encoder, size: Sequence[int], device: torch.device
) -> np.ndarray:
    """(N, F): the mean features of whole tumours, all stages side by side.

    Args:
        cases: image (C, Z, Y, X), as nnU-Net normalises, and tumour map (Z, Y, X)
        encoder: on the device
        size: of the patch around a tumour
        device: where to work
    """
    rows = []
    for image, tumour in cases:
        found = features_around(image, (tumour > 0).astype(np.int16), encoder, (1,), size, device)
        rows.append(torch.cat([stage[0, 0] for stage in found.means]).cpu().numpy())
    return np.array(rows)


def kernel_distance(ours: np.ndarray, theirs: np.ndarray) -> float:
    """KID: the squared distance of two samples' means under the kernel (x.y / F + 1)^3, without bias.

    0 on average for samples of one distribution, and then below 0 as often as above.

    Args:
        ours: (N, F)
        theirs: (M, F)
    """
    if min(len(ours), len(theirs)) < 2:
        raise UserError(f"KID compares two cases or more on either side, not {len(ours)} with {len(theirs)}.")
    own, other, between = (_kernel(one, two) for one, two in ((ours, ours), (theirs, theirs), (ours, theirs)))
    inside = [(kernel.sum() - np.trace(kernel)) / (len(kernel) * (len(kernel) - 1)) for kernel in (own, other)]
    return float(sum(inside) - 2 * between.mean())


def _kernel(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    return (one.astype(np.float64) @ two.T.astype(np.float64) / one.shape[1] + 1) ** DEGREE
