"""What a user asks of every tumour: volume, side, place, pieces, shares of classes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.json_dataclass import ONLY_IF_SET
from nnunetv2_tf.tumours.bank import Bank, Lesion
from nnunetv2_tf.tumours.recipe import SIZES, STRONGEST
from nnunetv2_tf.tumours.sampling_config import SamplingConfig, Span

NARROWEST = 1.1  # the most over the least volume


@dataclass(frozen=True)
class Reach:
    """How far donors are scaled."""

    scale: Span
    beyond: bool = False  # further down than usual


@dataclass(frozen=True)
class TumourConstraints:
    """What a user asks of every tumour; None for what the cohort's tumours are like."""

    volume_ml: Span | None = None
    side: Literal["left", "right"] | None = None
    center: tuple[float, ...] | None = None  # mm (x, y, z) of the common space
    radius: float | None = None  # mm around it, for the tumour's own centre
    components: tuple[int, ...] | None = None
    fractions: Mapping[int, Span] = field(default_factory=dict)  # by class, of the tumour's volume
    mass_effect: Span | None = field(default=None, metadata={ONLY_IF_SET: True})  # how strong

    def check_possible(self, bank: Bank, sampling: SamplingConfig, names: Mapping[int, str]) -> None:
        """Raise when no donor can meet what is asked, before any work begins."""
        for flag, span in (("-volume_ml", self.volume_ml), ("-components", self.components)):
            if span is not None and not 0 < span[0] <= span[1] < np.inf:
                raise UserError(f"{flag} takes the least and the most, not {span[0]:g} {span[1]:g}.")
        if self.volume_ml is not None and self.volume_ml[1] < NARROWEST * self.volume_ml[0]:
            raise UserError(
                f"-volume_ml {self.volume_ml[0]:g} {self.volume_ml[1]:g} leaves no room; allow a tenth more."
            )
        self._check_centre(bank)
        self._check_mass_effect(sampling)
        for value, span in self.fractions.items():
            if not 0 <= span[0] <= span[1] <= 1:
                raise UserError(f"-class_fraction {names[value]} takes shares between 0 and 1, the smaller first.")
        fitting = self.fitting(bank)
        if not fitting:
            asked = ", ".join(f"{names[value]} {span[0]:g} to {span[1]:g}" for value, span in self.fractions.items())
            raise UserError(
                f"No tumour of this fold has -class_fraction {asked}; they have {_spans(bank, self.fractions, names)}."
            )
        scale = self.reach(bank, sampling).scale
        if self.volume_ml is not None and not any(self.reachable(lesion, scale) for lesion in fitting):
            volumes = [lesion.volume for lesion in fitting]
            raise UserError(
                f"-volume_ml {self.volume_ml[0]:g} {self.volume_ml[1]:g} cannot be made of tumours of "
                f"{min(volumes):.1f} to {max(volumes):.1f} ml, scaled by {scale[0]:.2g} to {scale[1]:.2g}."
            )
        pieces = [lesion.pieces for lesion in fitting]
        two = sampling.combine > 0 and len(fitting) > 1
        most = sum(sorted(pieces)[-2:]) if two else max(pieces)
        if self.components is not None and not (self.components[0] <= most and self.components[1] >= min(pieces)):
            raise UserError(
                f"-components {self.components[0]} {self.components[1]} cannot be made of tumours of {min(pieces)} to "
                f"{max(pieces)} pieces{', two of them at most' if two else ''}."
            )

    def _check_centre(self, bank: Bank) -> None:
        """Raise when no place is left for a tumour's centre."""
        if (self.center is None) is not (self.radius is None):
            raise UserError("-center and -radius go together; give both, or none.")
        if self.center is None or self.radius is None:
            return
        if not (np.isfinite([*self.center, self.radius]).all() and self.radius > 0):
            raise UserError("-center takes three numbers in mm, and -radius one above 0.")
        low, high = bank.extent
        where = " ".join(f"{number:g}" for number in self.center)
        if (np.array(self.center) + self.radius < low).any() or (np.array(self.center) - self.radius > high).any():
            box = " and ".join(" ".join(f"{number:.0f}" for number in end) for end in bank.extent)
            raise UserError(f"-center {where} lies outside the brains, which are between {box} mm (x y z).")
        towards = self.radius if self.side == "left" else -self.radius
        if self.side is not None and bool(self.center[0] + towards > bank.midline) != (self.side == "left"):
            raise UserError(f"-center {where} with -radius {self.radius:g} has nothing on the {self.side} side.")

    def _check_mass_effect(self, sampling: SamplingConfig) -> None:
        """Raise when a mass effect is asked for that cannot be, or of a preset that has none."""
        if self.mass_effect is None:
            return
        low, high = self.mass_effect
        if not 0 <= low <= high <= STRONGEST:
            raise UserError(f"-mass_effect takes the least and the most, 0 to {STRONGEST:g}, not {low:g} {high:g}.")
        if not sampling.mass_effect:
            raise UserError(
                "-mass_effect asks for what this method or preset leaves out; take another, or leave it out."
            )

    def reach(self, bank: Bank, sampling: SamplingConfig) -> "Reach":
        """Return how far donors are scaled: as usual, or down to what half of them need for the least volume asked for.

        The latter where smaller tumours are asked for than any donor becomes by the usual scales, and none of the
        volumes asked for is a donor's. Only downwards: a small tumour made large has not the detail of a large one.
        """
        low, high = sampling.scale
        volumes = [lesion.volume for lesion in self.fitting(bank)]
        if self.volume_ml is None or not volumes:
            return Reach((low, high))
        least, most = self.volume_ml
        if least >= min(volumes) * low**3 or any(least <= volume <= most for volume in volumes):
            return Reach((low, high))
        lowest = (least / float(np.median(volumes))) ** (1 / 3)
        return Reach((max(lowest, SIZES[0] * (1 + sampling.uneven) ** 2), high), beyond=True)

    def reachable(self, lesion: Lesion, scale: Span) -> bool:
        """Tell whether a donor, scaled as far as is allowed, can have the volume asked for."""
        if self.volume_ml is None:
            return True
        low, high = (lesion.volume * factor**3 for factor in scale)
        return low <= self.volume_ml[1] and high >= self.volume_ml[0]

    def fitting(self, bank: Bank) -> list[Lesion]:
        """Return the donors whose classes are in the proportions asked for."""
        return [lesion for lesion in bank.lesions if self.fractions_met(lesion.classes)]

    def fractions_met(self, classes: Mapping[int, float]) -> bool:
        """Tell whether millilitres by class are in the proportions asked for."""
        total = max(sum(classes.values()), 1e-9)
        return all(low <= classes.get(value, 0.0) / total <= high for value, (low, high) in self.fractions.items())

    def centre_met(self, centre: np.ndarray, midline: float) -> bool:
        """Tell whether a tumour's centre, mm (x, y, z) with x growing to the left, lies where it is asked for."""
        if self.side is not None and bool(centre[0] > midline) != (self.side == "left"):
            return False
        if self.center is None or self.radius is None:
            return True
        return float(np.linalg.norm(centre - self.center)) <= self.radius


def _spans(bank: Bank, fractions: Mapping[int, Span], names: Mapping[int, str]) -> str:
    sentences = []
    for value in fractions:
        shares = [lesion.classes.get(value, 0.0) / lesion.volume for lesion in bank.lesions]
        sentences.append(f"{names[value]} {min(shares):.2f} to {max(shares):.2f}")
    return ", ".join(sentences)
