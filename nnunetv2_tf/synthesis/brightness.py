"""How bright healthy tissue is, by depth. In: values, their depths. Out: landmarks; other values that take them over.

Patients' brains keep remnants of dura and fat at their surface, brighter than white matter, and lie in other coils: by
ranks over all of the brain, a host's deep white matter would get the remnants' brightness. So the rim has a map of its
own, and deeper in, tissue is made as bright as the model's at each depth.
"""

from dataclasses import dataclass

import numpy as np

QUANTILES = (0.5, 2, *range(5, 100, 5), 98)  # the landmarks, in percent; above are vessels, fat and rims of skull
RIM, BLENDED = 5.0, 4.0  # mm under the surface; over so many the rim's map becomes the other one
WITHIN = 2.5  # mm from the depths where levels are taken
DEPTHS = tuple(float(depth) for depth in np.arange(RIM + WITHIN, 65, 2 * WITHIN))
DARK = 10  # percent of all tissue count as dark, as fluid is
LEVEL = 75  # percent of what is not dark lie below a level
FEWEST = 200  # voxels that a level is taken from
LEAST = 1000  # voxels of rim, and of what is deeper, without which an organ is taken as one
ENOUGH = 100_000  # voxels that landmarks and levels are taken from, about
TABLE = 4096  # brightnesses between which a map is linear
FAR = 1e9  # beyond any value


@dataclass(frozen=True)
class Brightness:
    """How bright one channel's tissue is."""

    whole: tuple[float, ...]  # landmarks of all of it
    rim: tuple[float, ...] = ()  # of what lies near the surface, and of what is deeper; empty in a small organ
    deeper: tuple[float, ...] = ()
    levels: tuple[tuple[float, float], ...] = ()  # depth in mm, and the level there

    @classmethod
    def of(cls, values: np.ndarray, depth: np.ndarray) -> "Brightness":
        """Measure tissue.

        Args:
            values: (n,) brightness
            depth: (n,) mm under the organ's surface
        """
        num_rim, every = int((depth <= RIM).sum()), max(1, len(values) // ENOUGH)
        small = min(num_rim, len(values) - num_rim) < LEAST
        values, depth = values[::every], depth[::every]
        whole, in_rim = _landmarks(values), depth <= RIM
        if small:
            return cls(whole)
        dark = whole[QUANTILES.index(DARK)]
        levels = _levels(values[values > dark], depth[values > dark], FEWEST // every)
        return cls(whole, _landmarks(values[in_rim]), _landmarks(values[~in_rim]), levels)

    def given_to(self, values: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """Return (n,) float32: the values (n,) float32 of another organ, at depths (n,), as bright as this one's."""
        own = Brightness.of(values, depth)
        if not self.rim or not own.rim:
            return _mapped(values, own.whole, self.whole)
        deeper = _mapped(values, own.deeper, self.deeper)
        before = dict(Brightness.of(deeper, depth).levels)
        depths = [place for place, _ in self.levels if place in before]
        if depths:
            more = [level - before[place] for place, level in self.levels if place in before]
            deeper += np.interp(depth, depths, more).astype(np.float32)
        of_rim = np.clip((RIM + BLENDED / 2 - depth) / BLENDED, 0, 1).astype(np.float32)
        shown = of_rim > 0
        deeper[shown] += of_rim[shown] * (_mapped(values[shown], own.rim, self.rim) - deeper[shown])
        return deeper


def _landmarks(values: np.ndarray) -> tuple[float, ...]:
    return tuple(np.percentile(values, QUANTILES).tolist())


def _levels(values: np.ndarray, depth: np.ndarray, fewest: int) -> tuple[tuple[float, float], ...]:
    levels = []
    for place in DEPTHS:
        there = values[np.abs(depth - place) <= WITHIN]
        if len(there) > fewest:
            levels.append((place, float(np.percentile(there, LEVEL))))
    return tuple(levels)


def _mapped(values: np.ndarray, own: tuple[float, ...], wanted: tuple[float, ...]) -> np.ndarray:
    """Return (n,) float32: landmarks become the wanted ones; linear in between, and beyond as overall.

    By a table of the map, so that the place of each value need not be searched for.
    """
    quantiles, targets = np.array(own), np.array(wanted)
    quantiles = np.maximum.accumulate(quantiles) + 1e-6 * np.arange(len(quantiles))  # some may share a value
    slope = (targets[-1] - targets[0]) / (quantiles[-1] - quantiles[0])
    quantiles = np.array([quantiles[0] - FAR, *quantiles, quantiles[-1] + FAR])
    targets = np.array([targets[0] - slope * FAR, *targets, targets[-1] + slope * FAR])
    low, high = float(values.min()), float(values.max())
    table = np.interp(np.linspace(low, high, TABLE), quantiles, targets).astype(np.float32)
    place = (values - np.float32(low)) * np.float32((TABLE - 1) / max(high - low, 1e-6))
    first = np.minimum(place.astype(np.int32), TABLE - 2)
    return table[first] + np.subtract(place, first, dtype=np.float32) * np.diff(table)[first]
