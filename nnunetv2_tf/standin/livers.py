"""CT-like stand-ins. In: a seed. Out: abdomens in Hounsfield units, without a background of 0; liver and tumour."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from nnunetv2_tf.standin.cohort import StandinCohort, smooth_field

AIR, FAT, SOFT, LIVER, TUMOUR, BONE = -1000.0, -90.0, 40.0, 110.0, 65.0, 400.0


@dataclass(frozen=True)
class Livers(StandinCohort):
    """A cohort of stand-in abdomens."""

    channel_names: tuple[str, ...] = ("CT",)
    labels: Mapping[str, int | list[int]] = field(default_factory=lambda: {"background": 0, "liver": 1, "tumour": 2})

    def description(self, num_cases: int) -> dict[str, Any]:
        """Return the content of dataset.json: the liver is the organ in which tumours grow."""
        return {**super().description(num_cases), "tf": {"tumour": ["tumour"], "organ": ["liver"]}}

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw one abdomen: (1, Z, Y, X) int16 from -1000 to 400, and liver 1 with tumour 2."""
        z, y, x = np.meshgrid(*(np.linspace(-1, 1, size) for size in self.shape), indexing="ij")
        wobble = 0.06 * smooth_field(rng, self.shape)
        body = y**2 / 0.6 + x**2 / 0.85 < 1
        inner = y**2 / 0.45 + x**2 / 0.7 < 1
        liver = ((z + 0.05) / 0.75) ** 2 + ((y + 0.05) / 0.45) ** 2 + ((x + 0.25) / 0.45) ** 2 + wobble < 1
        spine = ((y - 0.45) / 0.14) ** 2 + (x / 0.14) ** 2 < 1
        places = np.argwhere(gaussian_filter(liver.astype(np.float32), 1.5) > 0.7)
        centre = places[rng.integers(len(places))]
        size = rng.uniform(0.08, 0.16) * min(self.shape)
        distance = np.linalg.norm(np.indices(self.shape) - centre[:, None, None, None], axis=0)
        tumour = liver & (distance < size * (1 + 3 * wobble))
        scene = np.full(self.shape, AIR)
        for where, value in (
            (body, FAT),
            (inner, SOFT),
            (liver & inner, LIVER),
            (tumour & inner, TUMOUR),
            (spine, BONE),
        ):
            scene[where] = value
        scene = gaussian_filter(scene, 0.5) + rng.normal(scale=12, size=self.shape) * body
        label = (liver & inner).astype(np.uint8) + (tumour & inner)
        return np.clip(scene, AIR, BONE)[None].astype(np.int16), label.astype(np.uint8)
