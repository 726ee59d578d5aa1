"""Quality control of prepared scans. In: measures of every scan. Out: which scans are outliers, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

ADULT_ML = (850.0, 2100.0)  # brain volumes of healthy adults, with what skull strippers add or remove
LEAST_OVERLAP = 0.85
LEAST_COVERED = 0.98
FAR = 5.0  # robust standard deviations
LEAST_FAR = 0.1  # of the median: smaller differences are no failure, however alike all others are
ENOUGH = 10  # scans of one collection, before they are compared with one another


@dataclass(frozen=True)
class Measures:
    """Measures of one scan, taken on its first channel."""

    before: float  # mutual information with the reference in nats, with only the centres of mass aligned
    after: float  # after registration
    brain_ml: float  # before registration
    overlap: float  # Dice of its brain and the reference's
    covered: float  # share of its brain that lies on the reference's grid and that every channel shows
    dark: float  # 5th percentile of the brain over its median
    bright: float  # 95th percentile of the brain over its median


_NOUNS = {
    "after": "similarity to the reference",
    "brain_ml": "brain volume in ml",
    "overlap": "overlap with the reference's brain",
    "covered": "share of the brain on the grid",
    "dark": "darkness of dark tissue",
    "bright": "brightness of bright tissue",
}


def outliers(measures: Mapping[str, Measures], collections: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the reasons by case, for outliers only: beyond fixed limits, or far from other scans in the bad direction.

    Args:
        measures: by case
        collections: by case, where it comes from; scanners differ in contrast, so scans are compared within one
    """
    reasons_by_case: dict[str, list[str]] = {}
    for case, measured in measures.items():
        peers = [other for name, other in measures.items() if collections[name] == collections[case]]
        reasons = [*_beyond_limits(measured), *(_far(name, measured, peers) for name in _NOUNS)]
        if any(reasons):
            reasons_by_case[case] = [reason for reason in reasons if reason]
    return reasons_by_case


def _beyond_limits(measured: Measures) -> list[str]:
    reasons = []
    if measured.after <= measured.before:
        reasons.append("registration made it no more like the reference")
    if not ADULT_ML[0] <= measured.brain_ml <= ADULT_ML[1]:
        reasons.append(
            f"a brain of {measured.brain_ml:.0f} ml is no healthy adult's ({ADULT_ML[0]:g} to {ADULT_ML[1]:g})"
        )
    if measured.overlap < LEAST_OVERLAP:
        reasons.append(f"its brain overlaps the reference's by {measured.overlap:.2f} only ({LEAST_OVERLAP} at least)")
    if measured.covered < LEAST_COVERED:
        reasons.append(
            f"only {100 * measured.covered:.0f} % of its brain lie on the reference's grid and in every channel"
        )
    return reasons


def _far(name: str, measured: Measures, peers: Sequence[Measures]) -> str:
    """Return the reason when a measure is far from its peers'; empty when it is not.

    By median and median absolute deviation, which outliers do not move.
    """
    values = np.array([getattr(other, name) for other in peers])
    value, middle = getattr(measured, name), float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(values - middle)))
    high_is_good = name in ("after", "overlap", "covered")
    far = abs(value - middle) > max(FAR * spread, LEAST_FAR * abs(middle))
    if len(values) < ENOUGH or not far or (high_is_good and value > middle):
        return ""
    return f"its {_NOUNS[name]}, {value:.3g}, is far from the others' {middle:.3g}"
