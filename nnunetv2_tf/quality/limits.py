"""What synthetic tumours may be like. In: the training cases' tumours. Out: limits, and what of a case lies outside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from nnunetv2_tf.quality.measures import TumourMeasures

LEAST_SLACK = 0.25  # of z, beyond the cohort's brightest and darkest
EDGE_SLACK = 1.5  # times the cohort's steepest surface, and a third less than its softest
FEWEST = 3  # cases that limits can be told from


@dataclass(frozen=True)
class Limits:
    """What a fold's training cases are like, with some slack; where too few have a class, it has no limits."""

    means: Mapping[str, tuple[tuple[float, float], ...]]  # by class, least and most in each channel
    edges: tuple[tuple[float, float], ...]  # of each channel

    @classmethod
    def of(cls, cases: Sequence[TumourMeasures]) -> "Limits":
        """Return the limits of a cohort: its own range, and a standard deviation of it on either side.

        Of few cases the range says little, so limits are never narrower than what 99 of 100 further cases would keep.
        """
        values = sorted({value for case in cases for value in case.means})
        by_class = {value: np.array([case.means[value] for case in cases if value in case.means]) for value in values}
        means = {}
        for value, rows in by_class.items():
            if len(rows) >= FEWEST:
                slack = np.maximum(rows.std(axis=0), LEAST_SLACK)
                half = further_case(len(rows)) * rows.std(axis=0, ddof=1)
                low = np.minimum(rows.min(axis=0) - slack, rows.mean(axis=0) - half)
                means[value] = _spans(low, np.maximum(rows.max(axis=0) + slack, rows.mean(axis=0) + half))
        rows = np.array([case.edges for case in cases if case.edges])
        few = len(rows) < FEWEST
        return cls(means, () if few else _spans(rows.min(axis=0) / EDGE_SLACK, rows.max(axis=0) * EDGE_SLACK))

    def brightness_beyond(self, case: TumourMeasures, names: Mapping[str, str], channels: Sequence[str]) -> str | None:
        """Say which class is brighter or darker than the cohort's; None where all are within.

        Args:
            case: what was measured
            names: of the classes, by label value
            channels: their names
        """
        for value, row in case.means.items():
            for channel, mean, (low, high) in zip(channels, row, self.means.get(value, ()), strict=False):
                if not low <= mean <= high:
                    where = f"{names.get(value, value)} is at {mean:.2f} sd in channel {channel}"
                    return f"{where}, and training cases go from {low:.2f} to {high:.2f}"
        return None

    def edge_beyond(self, case: TumourMeasures, channels: Sequence[str]) -> str | None:
        """Say in which channel the surface is steeper or softer than the cohort's; None where none is."""
        for channel, edge, (low, high) in zip(channels, case.edges, self.edges, strict=False):
            if not low <= edge <= high:
                where = f"the gradient at its surface is {edge:.3f} sd per mm in channel {channel}"
                return f"{where}, and training cases go from {low:.3f} to {high:.3f}"
        return None


def further_case(number: int) -> float:
    """Return how many standard deviations from the mean of so many cases a further one lies, at most, 99 of 100 times.

    Student's prediction interval: infinitely many cases, 2.6; 18, 3.0; 6, 4.4; 4, 6.5.
    """
    return float(stats.t.ppf(0.995, number - 1) * np.sqrt(1 + 1 / number))


def _spans(low: np.ndarray, high: np.ndarray) -> tuple[tuple[float, float], ...]:
    return tuple((float(least), float(most)) for least, most in zip(low, high, strict=True))
