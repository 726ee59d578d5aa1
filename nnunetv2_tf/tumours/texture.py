"""Handcrafted texture (SynTumor's). In: a shape and random numbers. Out: noise that was filtered twice."""

from collections.abc import Sequence

import numpy as np

from nnunetv2_tf.geometry.separable import smoothed

FIRST_MM, SECOND_MM = (3.0, 6.0, 9.0, 12.0, 15.0), (4.0, 7.0)  # standard deviations of the noise's filters
RARE, OFTEN = (0.04, 0.06), (0.23, 0.27)  # how often a voxel is a seed, where that is rarest, where most frequent
COUNTED = 0.12  # of the filtered seeds: darker places are no part of the mean
MIDDLE = (0.5, 0.55)  # of the range from 0 to 1: the texture's mean


def texture(shape: Sequence[int], spacing: Sequence[float], rng: np.random.Generator) -> np.ndarray:
    """Return (Z, Y, X) float32 from 0 to 1: noise, blurred; seeds that are sown as often as it says, blurred.

    Args:
        shape: of the result
        spacing: mm between voxels (Z, Y, X)
        rng: draws noise, seeds and widths
    """
    first, second = (widths[rng.integers(len(widths))] for widths in (FIRST_MM, SECOND_MM))
    blurred = smoothed(rng.random(shape), [first / step for step in spacing])
    low, high = rng.uniform(*RARE), rng.uniform(*OFTEN)
    often = low + (high - low) * (blurred - blurred.min()) / max(float(np.ptp(blurred)), 1e-6)
    seeds = smoothed(rng.random(shape) < often, [second / step for step in spacing])
    counted = seeds[seeds > COUNTED]
    mean = float(counted.mean() if counted.size else seeds.mean())
    return np.clip(seeds * (rng.uniform(*MIDDLE) / max(mean, 1e-6)), 0.01, 1)
