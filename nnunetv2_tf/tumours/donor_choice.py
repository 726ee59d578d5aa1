"""Whose tumours a line has, and how large they become. In: the bank, settings, constraints. Out: donors and scales.

All donors, and all volumes of the cohort, come equally often, or volumes are as asked for.
"""

from dataclasses import dataclass

import numpy as np

from nnunetv2_tf.tumours.bank import Bank, Lesion
from nnunetv2_tf.tumours.constraints import Reach, TumourConstraints
from nnunetv2_tf.tumours.sampling_config import SamplingConfig

BLUR_VOLUME = 0.15  # of log ml, standard deviation
PAIR_SPLIT, TRIES = (0.5, 0.9), 20  # of the volume is the larger one's when two are combined; how often it is drawn


@dataclass(frozen=True)
class DonorChoice:
    """What donors are drawn from."""

    bank: Bank
    config: SamplingConfig
    constraints: TumourConstraints
    reach: Reach

    def donors(self, rng: np.random.Generator) -> list[tuple[Lesion, float]]:
        """Draw one donor or two, each with its scale."""
        lesions = self.constraints.fitting(self.bank)
        asked = self.constraints.components
        fitting = [lesion for lesion in lesions if asked is None or asked[0] <= lesion.pieces <= asked[1]]
        pair = len(lesions) > 1 and (not fitting or (asked is None and rng.random() < self.config.combine))
        lesions = fitting or lesions
        low, high = self.reach.scale
        if not self.config.matched and self.constraints.volume_ml is None:
            drawn = rng.choice(len(lesions), size=2 if pair else 1, replace=False)
            return [(lesions[index], rng.uniform(low, high)) for index in drawn]
        volume = self._volume(lesions, rng)
        for _ in range(TRIES if pair else 0):
            share = rng.uniform(*PAIR_SPLIT)
            first = self._donor_of(volume * share, lesions, rng)
            second = self._donor_of(volume * (1 - share), [lesion for lesion in lesions if lesion is not first[0]], rng)
            if all(low <= scale <= high for _, scale in (first, second)):
                return [first, second]
        if self.constraints.volume_ml is not None:
            lesion, scale = self._donor_of(volume, lesions, rng)
            return [(lesion, min(max(scale, low), high))]
        return [self._donor_and_volume(lesions, rng)]

    def _donor_and_volume(self, lesions: list[Lesion], rng: np.random.Generator) -> tuple[Lesion, float]:
        """Draw a donor, and the scale that gives it somebody's volume: all donors, and all volumes, equally often.

        Another's volume is taken when either could be scaled to the other's, else its own: a symmetric choice, which
        leaves both frequencies alone.
        """
        lesion, other = (lesions[rng.integers(len(lesions))] for _ in range(2))
        reach = np.log(self.reach.scale[1])
        step = np.log(other.volume / lesion.volume) / 3
        blur = rng.normal(0, BLUR_VOLUME) / 3
        scale = float(np.exp((step if abs(step) <= reach else 0.0) + blur))
        return lesion, min(max(scale, self.reach.scale[0]), self.reach.scale[1])

    def _donor_of(self, volume: float, lesions: list[Lesion], rng: np.random.Generator) -> tuple[Lesion, float]:
        """Draw a donor that can have a volume, and the scale it needs; else the one that nearly can."""
        scales = np.array([(volume / lesion.volume) ** (1 / 3) for lesion in lesions])
        fitting = np.flatnonzero((scales >= self.reach.scale[0]) & (scales <= self.reach.scale[1]))
        index = int(rng.choice(fitting)) if len(fitting) else int(np.argmin(np.abs(np.log(scales))))
        return lesions[index], float(scales[index])

    def _volume(self, lesions: list[Lesion], rng: np.random.Generator) -> float:
        """Draw millilitres: of somebody in the cohort, a little more or less."""
        span = self.constraints.volume_ml
        if span is None:
            return float(lesions[rng.integers(len(lesions))].volume * np.exp(rng.normal(0, BLUR_VOLUME)))
        within = [lesion.volume for lesion in lesions if span[0] <= lesion.volume <= span[1]]
        if not within:
            low = max(span[0], min(lesion.volume for lesion in lesions) * self.reach.scale[0] ** 3)
            high = min(span[1], max(lesion.volume for lesion in lesions) * self.reach.scale[1] ** 3)
            return float(np.exp(rng.uniform(np.log(low), np.log(max(low, high)))))
        drawn = within[rng.integers(len(within))] * np.exp(rng.normal(0, BLUR_VOLUME))
        return float(min(max(drawn, span[0]), span[1]))
