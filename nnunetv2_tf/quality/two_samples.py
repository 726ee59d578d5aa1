"""Can real and made tumours be told apart? In: figures of both. Out: an AUC with an interval.

A classifier two-sample test that leaves out a pair at a time: for each pair of a real and a made example it learns from
all that share no patient, host or donor with either, and is asked which of the two is made. The share of right answers
is an AUC: 0.5 means that they cannot be told apart. Leaving out pairs, and not single examples, keeps it at 0.5 on
average when there is nothing to see.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nnunetv2_tf.quality.examples import Example

RESAMPLED = 1000
RIDGE = 1.0  # of the kernel, whose diagonal is 1


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def told_apart(
    features: np.ndarray, examples: Sequence[Example], rng: np.random.Generator, resampled: int = RESAMPLED
) -> Estimate:
    """Return how well features tell made examples from real ones.

    Args:
        features: (N, F); nan where something could not be measured
        examples: N of them
        rng: draws the resamplings
        resampled: how many of them
    """
    real = np.array([example.real for example in examples])
    return interval(wins(features, real, apart(examples)), examples, rng, resampled)


def wins(features: np.ndarray, real: np.ndarray, unrelated: np.ndarray) -> np.ndarray:
    """Return (R, M): 1 where a made example is found to be the made one of a pair, 0 where not; nan: not to be told.

    Args:
        features: (N, F)
        real: (N,) bool
        unrelated: (N, N) bool: share no patient, host or donor
    """
    rows, columns = np.flatnonzero(real), np.flatnonzero(~real)
    found = np.full((len(rows), len(columns)), np.nan)
    for row, one in enumerate(rows):
        for column, other in enumerate(columns):
            seen = unrelated[one] & unrelated[other]
            if min((seen & real).sum(), (seen & ~real).sum()) >= 2:
                first, second = _scores(features[seen], ~real[seen], features[[one, other]])
                found[row, column] = 0.5 if first == second else float(second > first)
    return found


def apart(examples: Sequence[Example]) -> np.ndarray:
    """Return (N, N) bool: which examples share nobody."""
    people = [set(example.groups) for example in examples]
    return np.array([[not (one & other) for other in people] for one in people])


def interval(
    found: np.ndarray, examples: Sequence[Example], rng: np.random.Generator, resampled: int = RESAMPLED
) -> Estimate:
    """Return the mean of pairs (R, M) with an interval over people: patients, hosts and donors are drawn anew."""
    known = ~np.isnan(found)
    filled = np.where(known, found, 0.0)

    def mean(real: np.ndarray, made: np.ndarray) -> float:
        weight = np.outer(real, made) * known
        return float((weight * filled).sum() / weight.sum()) if weight.sum() else np.nan

    return estimate(mean, examples, rng, resampled)


def estimate(
    figure: Callable[[np.ndarray, np.ndarray], float],
    examples: Sequence[Example],
    rng: np.random.Generator,
    resampled: int = RESAMPLED,
    distance: bool = False,
) -> Estimate:
    """Return a figure with its interval, over people drawn with replacement.

    An example counts as often as all its people were drawn: a made case with a host drawn twice and a donor drawn
    once counts twice, so that what hosts have in common, and what donors have, widens the interval.

    Args:
        figure: of weights of the real (R,) and of the made examples (M,)
        examples: R + M of them, in any order
        rng: draws
        resampled: how often; 0: no interval
        distance: a figure that cannot be below 0, and that samples drawn anew make larger: the interval is mirrored at
            the figure (the basic bootstrap), as far as 0, and holds the figure itself
    """
    people = sorted({person for example in examples for person in example.groups})
    place = {person: index for index, person in enumerate(people)}
    members = [[place[person] for person in example.groups] for example in examples]
    real = np.array([example.real for example in examples])
    ones = np.ones(len(examples))
    values = []
    for _ in range(resampled):
        drawn = np.bincount(rng.integers(len(people), size=len(people)), minlength=len(people))
        weights = np.array([np.prod(drawn[who]) for who in members], float)
        if weights[real].any() and weights[~real].any():
            values.append(figure(weights[real], weights[~real]))
    values = [value for value in values if not np.isnan(value)]
    value = figure(ones[real], ones[~real])
    low, high = np.percentile(values, [2.5, 97.5]) if values else (np.nan, np.nan)
    if distance:
        low, high = min(max(2 * value - high, 0.0), value), max(2 * value - low, value)
    return Estimate(value, float(low), float(high))


def filled(features: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return features (N, F) in which what is missing is at the median of some rows (N,) bool; 0 where all lack it."""
    lacking = np.isnan(features[known]).all(axis=0)
    centre = np.nanmedian(np.where(lacking, 0, features[known]), axis=0)
    return np.where(np.isnan(features), centre, features)


def _scores(features: np.ndarray, made: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Return how made the examples that are asked for look, after learning from others: kernel ridge regression.

    The kernel is Gaussian and as wide as the median distance, so that it sees differences in spread as in mean; both
    kinds weigh the same. Figures that are missing take the others' median.
    """
    together = filled(np.concatenate([features, asked]), np.arange(len(features) + len(asked)) < len(features))
    features, asked = together[: len(features)], together[len(features) :]
    mean, sd = features.mean(axis=0), features.std(axis=0)
    useful = sd > 1e-9
    features, asked = (((part - mean)[:, useful] / sd[useful]) for part in (features, asked))
    squared = _squared(features, features)
    width = np.median(squared[np.triu_indices(len(squared), 1)]) or 1.0
    weight = np.where(made, 0.5 / made.sum(), 0.5 / (~made).sum()) * len(made)
    kernel = np.exp(-squared / width)
    target = np.where(made, 1.0, -1.0)
    answers = np.linalg.solve(kernel + RIDGE * np.diag(1 / weight), target)
    return np.exp(-_squared(asked, features) / width) @ answers


def _squared(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return (N, M): squared distances."""
    squares = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1) - 2 * first @ second.T
    return np.maximum(squares, 0)
