"""How far made tumours are from real ones. In: figures of both, and weights of each example. Out: distances.

Every function returns one that takes weights of the real (R,) and of the made examples (M,), as `two_samples.estimate`
resamples them.
"""

from collections.abc import Callable, Sequence

import numpy as np

from nnunetv2_tf.quality.examples import Example
from nnunetv2_tf.quality.named_features import profile
from nnunetv2_tf.quality.realism import kernel
from nnunetv2_tf.quality.two_samples import filled

Figure = Callable[[np.ndarray, np.ndarray], float]
BINS = np.linspace(-8, 8, 321)  # in standard deviations of all that is in view of real cases
FEWEST = 10  # voxels of a class
EVEN = 1e-6  # a standard deviation below which all are alike


def brightness_distance(examples: Sequence[Example], classes: Sequence[int]) -> Figure:
    """Return the Wasserstein distance of brightness inside the classes, in sd; the mean over classes and channels.

    Each example's histogram counts the same, whatever the tumour's size.
    """
    real = np.array([example.real for example in examples])
    mean, sd = _in_view(examples)
    histograms = np.array([[_histograms(example, value, mean, sd) for value in classes] for example in examples])
    there = histograms.sum(axis=-1) > 0  # (N, K, C)

    def figure(of_real: np.ndarray, of_made: np.ndarray) -> float:
        cumulated = []
        for side, weight in ((real, of_real), (~real, of_made)):
            weights = weight[:, None, None] * there[side]
            total = weights.sum(axis=0)
            mean = np.einsum("nkc,nkcb->kcb", weights, histograms[side]) / np.maximum(total, 1e-9)[..., None]
            cumulated.append(np.where(total[..., None] > 0, np.cumsum(mean, axis=-1), np.nan))
        distances = np.abs(cumulated[0] - cumulated[1]).sum(axis=-1) * (BINS[1] - BINS[0])
        return float(np.nanmean(distances)) if not np.isnan(distances).all() else np.nan

    return figure


def profile_distance(examples: Sequence[Example]) -> Figure:
    """Return the mean difference of the profiles of brightness across the surface, in sd, each less its outermost."""
    real = np.array([example.real for example in examples])
    profiles = np.array([[profile(channel, example) for channel in example.image] for example in examples])
    profiles = (profiles - profiles[..., -1:]) / _in_view(examples)[1][:, None]

    def figure(of_real: np.ndarray, of_made: np.ndarray) -> float:
        means = [_mean(profiles[side], weight) for side, weight in ((real, of_real), (~real, of_made))]
        return float(np.nanmean(np.abs(means[0] - means[1])))

    return figure


def mean_difference(features: np.ndarray, real: np.ndarray) -> Figure:
    """Return the mean distance between means of features (N, F), in real examples' standard deviations."""
    sd = np.maximum(np.nanstd(features[real], axis=0), EVEN)

    def figure(of_real: np.ndarray, of_made: np.ndarray) -> float:
        means = [_mean(features[side], weight) for side, weight in ((real, of_real), (~real, of_made))]
        return float(np.nanmean(np.abs(means[0] - means[1]) / sd))

    return figure


def diversity(features: np.ndarray, real: np.ndarray) -> Figure:
    """Return how much made examples differ from one another, over how much real ones do; 1 is as varied as real."""
    distances = _distances(_standardised(features, real))

    def figure(of_real: np.ndarray, of_made: np.ndarray) -> float:
        spreads = []
        for side, weight in ((real, of_real), (~real, of_made)):
            pairs = np.outer(weight, weight)
            np.fill_diagonal(pairs, 0)
            spreads.append(float((pairs * distances[np.ix_(side, side)]).sum() / max(pairs.sum(), 1e-9)))
        return spreads[1] / spreads[0] if spreads[0] > 0 else np.nan

    return figure


def nearest_real(features: np.ndarray, real: np.ndarray) -> Figure:
    """Return the median distance of made examples to the nearest real one, over that of real ones; 0 for copies."""
    distances = _distances(_standardised(features, real))

    def figure(of_real: np.ndarray, of_made: np.ndarray) -> float:
        there = of_real > 0
        among = distances[np.ix_(real, real)] + np.where(np.eye(int(real.sum()), dtype=bool), np.inf, 0)
        to_real = distances[np.ix_(~real, real)][:, there]
        if there.sum() < 2:
            return np.nan
        own = _median(among[np.ix_(there, there)].min(axis=1), of_real[there])
        return _median(to_real.min(axis=1), of_made) / own if own > 0 else np.nan

    return figure


def kernel_figure(features: np.ndarray, real: np.ndarray) -> Figure:
    """Return the KID under weights; pairs of an example with itself, or with its resampled copies, are left out."""
    kernels = kernel(features, features)

    def figure(of_real: np.ndarray, of_made: np.ndarray) -> float:
        within = []
        for side, weight in ((real, of_real), (~real, of_made)):
            pairs = np.outer(weight, weight)
            np.fill_diagonal(pairs, 0)
            if not pairs.any():
                return np.nan
            within.append(float((pairs * kernels[np.ix_(side, side)]).sum() / pairs.sum()))
        pairs = np.outer(of_real, of_made)
        return sum(within) - 2 * float((pairs * kernels[np.ix_(real, ~real)]).sum() / pairs.sum())

    return figure


def _in_view(examples: Sequence[Example]) -> tuple[np.ndarray, np.ndarray]:
    """Return (C,) means and standard deviations of what is in view of real examples: normalisations differ."""
    rows = [
        [(channel[one.organ].mean(), channel[one.organ].std()) for channel in one.image] for one in examples if one.real
    ]
    mean, sd = np.moveaxis(np.array(rows, float), -1, 0).mean(axis=1)
    return mean, np.maximum(sd, 1e-9)


def _histograms(example: Example, value: int, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Return (C, B): the share of a class's voxels by brightness, for each channel; 0 where there are few."""
    inside = (example.tumour == value) & example.organ
    if inside.sum() < FEWEST:
        return np.zeros((len(example.image), len(BINS) - 1))
    limited = np.clip((example.image[:, inside] - mean[:, None]) / sd[:, None], BINS[0], BINS[-1])
    return np.array([np.histogram(channel, BINS)[0] / inside.sum() for channel in limited])


def _mean(rows: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the weighted mean over the first axis, without what is nan."""
    known = ~np.isnan(rows)
    weights = weight.reshape(-1, *[1] * (rows.ndim - 1)) * known
    total = weights.sum(axis=0)
    return np.where(total > 0, (weights * np.where(known, rows, 0)).sum(axis=0) / np.maximum(total, 1e-9), np.nan)


def _standardised(features: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Return features in real examples' standard deviations; what is missing is at their median, what is even at 0."""
    known = filled(features, real)
    sd = known[real].std(axis=0)
    return np.where(sd > EVEN, (known - known[real].mean(axis=0)) / np.maximum(sd, EVEN), 0.0)


def _distances(features: np.ndarray) -> np.ndarray:
    return np.sqrt(((features[:, None] - features[None]) ** 2).mean(axis=-1))


def _median(values: np.ndarray, weight: np.ndarray) -> float:
    """Return the weighted median."""
    order = np.argsort(values)
    reached = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])
