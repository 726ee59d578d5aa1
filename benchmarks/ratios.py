"""Pairs of measurements. In: two functions that measure. Out: their median ratio, with a bootstrap interval."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm


@dataclass(frozen=True)
class Ratio:
    """Median of paired ratios with its 95 % interval."""

    median: float
    low: float
    high: float
    reference: float  # median of the reference's measurements
    pairs: int

    def __str__(self) -> str:
        return (
            f"median ratio {self.median:.3f} (95 % interval {self.low:.3f} to {self.high:.3f}) over {self.pairs} "
            f"pairs, reference median {self.reference:.4g} s"
        )


def interleaved(reference: Callable[[], float], ours: Callable[[], float], pairs: int) -> Ratio:
    """Measure `pairs` pairs; which of the two goes first alternates, so that drift hits both alike."""
    measured = []
    for index in tqdm(range(pairs), desc="Measuring", unit="pair"):
        if index % 2:
            second, first = ours(), reference()
        else:
            first, second = reference(), ours()
        measured.append((first, second))
    times = np.array(measured)
    ratios = times[:, 1] / times[:, 0]
    draws = np.random.default_rng(0).choice(ratios, size=(10_000, pairs))
    low, high = np.quantile(np.median(draws, axis=1), [0.025, 0.975])
    return Ratio(float(np.median(ratios)), float(low), float(high), float(np.median(times[:, 0])), pairs)
