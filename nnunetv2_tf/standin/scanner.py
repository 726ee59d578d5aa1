"""Two simulated scanners. In: tissue brightness. Out: an image, with contrast, blur, bias, noise and exact zeros."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from nnunetv2_tf.standin.cohort import smooth_field


@dataclass(frozen=True)
class Scanner:
    """A simulated scanner: how a cohort was imaged."""

    blur: tuple[float, float, float]  # sigma in voxels, Z Y X
    contrast: tuple[float, float]  # range of the exponent on brightness: below 1 flattens
    noise: float  # sd, brightness of white matter is about 1
    bias: float  # amplitude of the smooth multiplicative field
    gain: tuple[float, float]  # range of what 1 becomes in the file

    def image(self, brightness: np.ndarray, brain: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return an image (Z, Y, X) int16, above 0 in the brain and exactly 0 outside."""
        scene = np.clip(brightness, 0.02, None) ** rng.uniform(*self.contrast)
        scene = gaussian_filter(scene, self.blur) * np.exp(self.bias * smooth_field(rng, brain.shape, 3))
        scene = scene + rng.normal(scale=self.noise, size=brain.shape)
        return np.where(brain, np.clip(rng.uniform(*self.gain) * scene, 1, 32000), 0).astype(np.int16)


RESEARCH = Scanner(blur=(0.3, 0.3, 0.3), contrast=(1.0, 1.3), noise=0.02, bias=0.05, gain=(250.0, 350.0))
CLINICAL = Scanner(blur=(1.0, 0.5, 0.5), contrast=(0.6, 0.9), noise=0.04, bias=0.12, gain=(600.0, 1800.0))
