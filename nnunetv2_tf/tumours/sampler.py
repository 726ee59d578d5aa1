"""Samples the tumours of one line. In: the bank, a host, settings and constraints. Out: tumours that can be placed.

Donor, volume and place are drawn so that all three are as frequent as in the cohort, then everything else. A draw that
loses too much, or a class, or crosses the midline more than its donor does, is followed by another one, then by another
donor; the last draws of a donor stay near where its tumour was, where it is most likely to fit.
"""

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from nnunetv2_tf.tumours.bank import Bank, Lesion
from nnunetv2_tf.tumours.constraints import Reach, TumourConstraints
from nnunetv2_tf.tumours.donor_choice import DonorChoice
from nnunetv2_tf.tumours.place import HostAnatomy, PlacedTumour, place_tumours
from nnunetv2_tf.tumours.recipe import STRONGEST, DonorTumour
from nnunetv2_tf.tumours.sampling_config import SamplingConfig
from nnunetv2_tf.tumours.warp import forward

DONORS, DRAWS, NEAR_HOME = 12, 30, 15  # volumes tried; draws of each; the last ones near the donor's own place
SLACK = 0.03  # of a tumour: what a look at some of its points may be wrong by
BLUR_PLACE, OWN_PLACE = 8.0, 4.0  # mm, standard deviations
SIZE_ALIKE = 0.5  # of log ml, standard deviation: tumours whose places are exchanged
CROSSES = 0.02  # of a tumour, across the midline, is as good as nothing
FULL_PLACEMENTS = 100  # of the draws for one host are looked at as a whole, at the most
UNMET = (
    "its volume is not as asked for",
    "it has not as many pieces as asked for",
    "its classes are not in the proportions asked for",
    "its centre is not where it is asked for",
)
NOBODY = "no other patient has a tumour to give"
MIDLINE = "more of it crosses the midline than of its donor's"
PLACES = 20  # drawn within what is asked for
VOLUME_MARGIN = 0.03  # of a limit: how far within the volumes asked for a tumour is resized to
USUAL_MASS_EFFECT = (0.0, 1.0)  # where patients do not tell: cores are up to 63 % new volume
SPREAD = 0.25  # of the logarithm, standard deviation: how much lines differ from the patient whose strength they have
SEEN = 2.0  # voxels: a class that would be smaller may vanish where tumours are made smaller than usual
NO_SIDE = 0.3  # a tumour with more across the midline belongs to no side


class PlacementError(Exception):
    """No draw could be used; the most frequent reason, as half a sentence."""


@dataclass(frozen=True)
class _QuickLook:
    """What a look at some points of tumours shows."""

    objection: str
    kept: float  # share of the tumours that falls into the organ


@dataclass(frozen=True)
class TumourSampler:
    """What lines are drawn from."""

    bank: Bank
    config: SamplingConfig
    constraints: TumourConstraints
    observed: tuple[float, ...] = ()  # strengths of patients' mass effects
    reach_of_cohort: Reach | None = None  # where the bank is only part of the cohort's; None: the bank's own

    @cached_property
    def reach(self) -> Reach:
        """How far donors are scaled."""
        return self.reach_of_cohort or self.constraints.reach(self.bank, self.config)

    @cached_property
    def _choice(self) -> DonorChoice:
        return DonorChoice(self.bank, self.config, self.constraints, self.reach)

    def sample(self, host: HostAnatomy, rng: np.random.Generator) -> PlacedTumour:
        """Draw tumours for a host until they can be placed in it. Raises PlacementError."""
        if not host.organ.any():
            raise PlacementError("it has no organ")
        if not self.bank.lesions:
            raise PlacementError(NOBODY)
        if not any(self.constraints.fractions_met(lesion.classes) for lesion in self.bank.lesions):
            raise PlacementError(UNMET[2])
        reasons: Counter[str] = Counter()
        placements = 0
        for _ in range(DONORS):
            donors = self._choice.donors(rng)
            for draw in range(DRAWS):
                tumours = self._transformed(donors, host, draw >= DRAWS - NEAR_HOME, rng)
                look = self._look(tumours, host)
                if look.objection:
                    reasons[look.objection] += 1
                    continue
                if placements == FULL_PLACEMENTS:
                    break
                placements += 1
                if self.config.matched:
                    tumours = self._grown(tumours, look.kept)
                placed = place_tumours(tumours, self.bank, host)
                if placed is not None and not self._volume_met(placed):  # edge and fluid took what nobody knew before
                    placed = place_tumours(self._resized(tumours, placed.lesion.volume), self.bank, host)
                reason = self._objection(placed)
                if placed is not None and not reason:
                    return placed
                reasons[reason] += 1
        unmet = Counter({reason: number for reason, number in reasons.items() if reason in UNMET})
        raise PlacementError((unmet or reasons).most_common(1)[0][0])  # constraints, before what any draw meets

    def strength(self, rng: np.random.Generator) -> float:
        """Draw how strong a mass effect is: as asked for, like a patient's, or within USUAL_MASS_EFFECT; 0 for none."""
        if not self.config.mass_effect:
            return 0.0
        if self.constraints.mass_effect is None and self.observed:
            chosen = self.observed[rng.integers(len(self.observed))]
            return round(min(chosen * float(np.exp(rng.normal(0, SPREAD))), STRONGEST), 4)
        low, high = self.constraints.mass_effect or USUAL_MASS_EFFECT
        return round(float(rng.uniform(low, high)), 4)

    def _transformed(
        self, chosen: list[tuple[Lesion, float]], host: HostAnatomy, at_home: bool, rng: np.random.Generator
    ) -> tuple[DonorTumour, ...]:
        """Draw the transforms under which donors' tumours go to a host."""
        tumours = []
        for lesion, scale in chosen:
            target = self._sample_centre(lesion, scale, host, at_home, rng)
            flip = self._flip(lesion, target, rng)
            uneven = np.exp(rng.uniform(-1, 1, 3) * np.log1p(self.config.uneven))
            scales = scale * uneven / np.prod(uneven) ** (1 / 3)
            centre = lesion.centre.copy()
            if flip:
                centre[0] = 2 * self.bank.midline - centre[0]
            tumour = DonorTumour(
                lesion.donor,
                scale=_rounded(scales),
                rotation=_rounded(rng.uniform(-1, 1, 3) * self.config.turn),
                flip=flip,
                shift=_rounded((target - centre)[::-1]),
                elastic_seed=int(rng.integers(2**31)) if self.config.elastic else None,
            )
            often = self.config.often
            tumours.append(tumour if often >= 1 else tumour.with_only(*(rng.random(3) < often)))
        return tuple(tumours)

    def _sample_centre(
        self, lesion: Lesion, scale: float, host: HostAnatomy, at_home: bool, rng: np.random.Generator
    ) -> np.ndarray:
        """Draw where its centre goes, mm (x, y, z): where a tumour of its size is, the donor's own, or as asked."""
        midline, constraints = self.bank.midline, self.constraints
        if constraints.center is not None and constraints.radius is not None:
            low, high = self.bank.extent
            radius = min(constraints.radius, float(np.linalg.norm(high - low)))
            for _ in range(PLACES):
                step = rng.normal(size=3)
                length = radius * rng.random() ** (1 / 3)
                target = np.asarray(constraints.center, float) + step / np.linalg.norm(step) * length
                if constraints.centre_met(target, midline) and (low <= target).all() and (target <= high).all():
                    break
            return target
        if not self.config.matched and not at_home:
            inside = host.organ_voxels
            target = host.grid[:3, :3] @ inside[rng.integers(len(inside))] + host.grid[:3, 3]
        else:
            somebody = lesion if at_home else self._of_a_size(lesion.volume * scale**3, rng)
            target = somebody.centre + rng.normal(size=3) * (OWN_PLACE if at_home else BLUR_PLACE)
        if constraints.side is not None and bool(target[0] > midline) != (constraints.side == "left"):
            target[0] = 2 * midline - target[0]
        return target

    def _of_a_size(self, volume: float, rng: np.random.Generator) -> Lesion:
        """Draw somebody's tumour, rather one of this volume: large ones do not lie wherever small ones do."""
        steps = np.log([lesion.volume / volume for lesion in self.bank.lesions])
        weights = np.exp(-(steps**2) / (2 * SIZE_ALIKE**2)) + 1e-9
        return self.bank.lesions[rng.choice(len(weights), p=weights / weights.sum())]

    def _flip(self, lesion: Lesion, target: np.ndarray, rng: np.random.Generator) -> bool:
        """Tell whether to mirror a tumour: when it goes to the other side, so that it has its side's shape."""
        if lesion.across(self.bank.midline) > NO_SIDE:
            return bool(rng.random() < 0.5)
        return bool((lesion.centre[0] > self.bank.midline) != (target[0] > self.bank.midline))

    def _look(self, tumours: tuple[DonorTumour, ...], host: HostAnatomy) -> "_QuickLook":
        """Look at what some points of the tumours already show, which takes a millisecond."""
        back, midline = np.linalg.inv(host.grid), self.bank.midline
        kept = []
        for tumour in tumours:
            lesion = self.bank.by_donor[tumour.donor]
            way = forward(tumour, lesion, midline)
            points = lesion.point_sample @ way[:3, :3].T + way[:3, 3]
            share = float((points[:, 0] > midline).mean())
            if min(share, 1 - share) > lesion.across(midline) + CROSSES + SLACK:
                return _QuickLook(MIDLINE, 0.0)
            voxels = np.rint(points @ back[:3, :3].T + back[:3, 3]).astype(int)
            there = ((voxels >= 0) & (voxels < host.organ.shape)).all(axis=1)
            kept.append(float(host.organ[tuple(voxels[there].T)].sum()) / len(points))
        return _QuickLook(self._outside if min(kept) < self.config.least_kept - SLACK else "", float(np.mean(kept)))

    def _grown(self, tumours: tuple[DonorTumour, ...], kept: float) -> tuple[DonorTumour, ...]:
        """Scale tumours up by what the organ's edge will take, as far as scales may go: volumes stay the cohort's."""
        _, high = self.reach.scale
        grown = []
        for tumour in tumours:
            factor = min(kept ** (-1 / 3), max(high / _size(tumour), 1.0))
            grown.append(replace(tumour, scale=_rounded(np.array(tumour.scale) * factor)))
        return tuple(grown)

    def _resized(self, tumours: tuple[DonorTumour, ...], volume: float) -> tuple[DonorTumour, ...]:
        """Scale tumours to the nearest volume that is asked for, as far as scales may go."""
        low, high = self.constraints.volume_ml or (volume, volume)
        factor = (min(max(volume, low * (1 + VOLUME_MARGIN)), high * (1 - VOLUME_MARGIN)) / volume) ** (1 / 3)
        resized = []
        for tumour in tumours:
            size = _size(tumour)
            possible = min(max(size * factor, self.reach.scale[0]), self.reach.scale[1]) / size
            resized.append(replace(tumour, scale=_rounded(np.array(tumour.scale) * possible)))
        return tuple(resized)

    def _volume_met(self, placed: PlacedTumour) -> bool:
        span = self.constraints.volume_ml
        return span is None or span[0] <= placed.lesion.volume <= span[1]

    def _should_be_there(self, value: int, placed: PlacedTumour) -> bool:
        """Tell whether a class is to be seen: what was made smaller than usual may have less than a voxel of it."""
        if not self.reach.beyond:
            return True
        left = sum(
            warped.lesion.classes.get(value, 0.0) * np.prod(tumour.scale)
            for tumour, warped in zip(placed.tumours, placed.warped, strict=True)
        )
        return bool(left >= SEEN * placed.lesion.voxel_ml)

    @property
    def _outside(self) -> str:
        return f"more than {100 * (1 - self.config.least_kept):.0f} % of it fall outside the organ"

    def _objection(self, placed: PlacedTumour | None) -> str:
        """Say why a placement cannot be used; nothing when it can."""
        if placed is None:
            return "nothing of it falls into the organ"
        if min(placed.kept) < self.config.least_kept:
            return self._outside
        if any(self._should_be_there(value, placed) for value in placed.lost):
            return "a class of it is lost"
        midline, lesion, constraints = self.bank.midline, placed.lesion, self.constraints
        for tumour, across in zip(placed.warped, placed.across, strict=True):
            if across > tumour.lesion.across(midline) + CROSSES:
                return MIDLINE
        if not self._volume_met(placed):
            return UNMET[0]
        pieces = constraints.components
        if pieces is not None and not pieces[0] <= lesion.pieces <= pieces[1]:
            return UNMET[1]
        if not constraints.fractions_met(lesion.classes):
            return UNMET[2]
        if not constraints.centre_met(lesion.centre, midline):
            return UNMET[3]
        return ""


def _size(tumour: DonorTumour) -> float:
    """Return a tumour's scale, as if the same along all axes."""
    return float(np.prod(tumour.scale)) ** (1 / 3)


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    """Round as in a recipe, so that reading it gives the same tumour."""
    return tuple(round(float(value), 3) for value in values)
