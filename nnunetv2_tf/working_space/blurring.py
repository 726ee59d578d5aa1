"""Gaussian blur inside an organ. In: an image and the organ. Out: the image, blurred by values inside it only."""

from collections.abc import Sequence

import numpy as np

from nnunetv2_tf.geometry.boxes import Box
from nnunetv2_tf.geometry.separable import smoothed


def blur(image: np.ndarray, organ: np.ndarray | None, sigma: Sequence[float], box: Box | None = None) -> np.ndarray:
    """Return an image (C, Z, Y, X) float32, blurred; with an organ, only inside it and by values inside it.

    Else the dark background of a brain would be mixed into the voxels at its surface.

    Args:
        image: (C, Z, Y, X)
        organ: (Z, Y, X) bool, or None
        sigma: standard deviation in voxels, by axis
        box: the part of the image to return; None: all of it
    """
    if organ is None:
        return np.stack([smoothed(channel, sigma, box) for channel in image])
    here = box or (slice(None),) * 3
    inside, weight = organ[here], np.maximum(smoothed(organ, sigma, box), 1e-6)
    return np.stack(
        [np.where(inside, smoothed(channel * organ, sigma, box) / weight, channel[here]) for channel in image]
    )
