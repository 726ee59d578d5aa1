"""Gaussian blur of images that mean something inside an organ only."""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter

TRUNCATE = 4.0  # standard deviations that a Gaussian reaches


def blur(image: np.ndarray, organ: np.ndarray | None, sigma: Sequence[float]) -> np.ndarray:
    """(C, Z, Y, X) float32, blurred; with an organ, of what is in the organ only, which is left as it is elsewhere.

    Without, the darkness around a brain would creep into what lies at its surface.

    Args:
        image: (C, Z, Y, X)
        organ: (Z, Y, X) bool, or None
        sigma: standard deviation in voxels, by axis
    """
    if organ is None:
        return np.stack([gaussian_filter(channel, sigma, truncate=TRUNCATE) for channel in image])
    weight = gaussian_filter(organ.astype(np.float32), sigma, truncate=TRUNCATE)
    summed = [gaussian_filter(np.where(organ, channel, 0), sigma, truncate=TRUNCATE) for channel in image]
    return np.stack([np.where(organ, one / np.maximum(weight, 1e-6), channel) for one, channel in
                     zip(summed, image, strict=True)])  # fmt: skip
