"""Gaussian blur inside an organ. In: an image and the organ. Out: the image, blurred by values inside it only."""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter

TRUNCATE = 4.0  # standard deviations at which the Gaussian is cut off


def blur(image: np.ndarray, organ: np.ndarray | None, sigma: Sequence[float]) -> np.ndarray:
    """Return an image (C, Z, Y, X) float32, blurred; with an organ, only inside it and by values inside it.

    Else the dark background of a brain would be mixed into the voxels at its surface.

    Args:
        image: (C, Z, Y, X)
        organ: (Z, Y, X) bool, or None
        sigma: standard deviation in voxels, by axis
    """
    if organ is None:
        return np.stack([gaussian_filter(channel, sigma, truncate=TRUNCATE) for channel in image])
    weight = gaussian_filter(organ.astype(np.float32), sigma, truncate=TRUNCATE)
    summed = [gaussian_filter(np.where(organ, channel, 0), sigma, truncate=TRUNCATE) for channel in image]
    return np.stack([np.where(organ, total / np.maximum(weight, 1e-6), channel) for total, channel in
                     zip(summed, image, strict=True)])  # fmt: skip
