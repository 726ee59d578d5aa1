"""How sharp a scan is along each axis. In: images, an organ. Out: spectra; the blur that makes one scan as the other.

Nothing is ever made sharper than it was.
"""

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from nnunetv2_tf.working_space.blurring import blur

LENGTH, EVERY = 16, 8  # voxels of a stretch whose spectrum is taken, and from one stretch to the next
FREQUENCIES = LENGTH // 2 + 1
FEWEST, MOST = 50, 5_000  # stretches
WIDEST = 4.0  # voxels, standard deviation
ROUNDS, LITTLE = 5, 0.15  # of measuring blur; voxels that do not matter
HALVINGS = 12  # of the span that a width lies in


def stretches_in(where: np.ndarray) -> list[np.ndarray]:
    """Return by axis (n, 3): where stretches along it lie inside, as `spectrum_along` counts them; none if few do."""
    stretches = []
    for axis in range(3):
        inside = np.moveaxis(where, axis, -1)
        places = np.empty((0, 3), int)
        if inside.shape[-1] >= LENGTH:
            places = np.argwhere(sliding_window_view(inside, LENGTH, axis=-1)[..., ::EVERY, :].all(axis=-1))
        stretches.append(places[:: -(-len(places) // MOST)] if len(places) >= FEWEST else places[:0])
    return stretches


def spectrum_along(image: np.ndarray, places: Sequence[np.ndarray], axis: int) -> np.ndarray:
    """Return (F,): the logarithm of the mean power along an axis, over stretches inside; all 0 where there are few."""
    if not len(places[axis]):
        return np.zeros(FREQUENCIES)
    stretches = sliding_window_view(np.moveaxis(image, axis, -1), LENGTH, axis=-1)[..., ::EVERY, :]
    values = stretches[tuple(places[axis].T)]
    values = (values - values.mean(axis=-1, keepdims=True)) * np.hanning(LENGTH)
    return np.log((np.abs(np.fft.rfft(values, axis=-1)) ** 2).mean(axis=0) + 1e-12)


def blur_that_gives(
    image: np.ndarray, organ: np.ndarray, places: Sequence[np.ndarray], spectra: np.ndarray
) -> np.ndarray:  # fmt: skip
    """Return (3,): standard deviations, in voxels, of the blur that gives an image such spectra.

    The axis that lacks most comes first, again and again: blur along one axis takes from the others' spectra too, and
    short stretches see less of it than there is.
    """
    width = np.zeros(3)
    for _ in range(ROUNDS):
        more = [_missing_blur(spectrum_along(image, places, axis), spectra[axis]) for axis in range(3)]
        worst = int(np.argmax(more))
        if more[worst] < LITTLE:
            break
        step = np.where(np.arange(3) == worst, more, 0.0)
        width = np.minimum(np.hypot(width, step), WIDEST)
        image = blur(image[None], organ, step.tolist())[0]
    return width


def _missing_blur(spectrum: np.ndarray, wanted: np.ndarray) -> float:
    """Return the standard deviation, in voxels, of the Gaussian that makes a spectrum as steep as another; 0 for none.

    A Gaussian multiplies power by exp(-4 pi^2 sigma^2 f^2). Spectra agree when what neighbours differ by is the same
    share of all there is: 4 sin^2(pi f) weighs power by that, and noise and thick slices hardly matter to it, as they
    would to the slope of a spectrum's end.
    """
    if not spectrum.any() or not wanted.any():
        return 0.0
    f = np.arange(1, FREQUENCIES) / LENGTH
    steps = 4 * np.sin(np.pi * f) ** 2

    def roughness(power: np.ndarray) -> float:
        return float((power * steps).sum() / power.sum())

    ours, goal = np.exp(spectrum[1:]), roughness(np.exp(wanted[1:]))
    low, high = 0.0, WIDEST
    if roughness(ours) <= goal:
        return low
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if roughness(ours * np.exp(-((2 * np.pi * middle * f) ** 2))) > goal:
            low = middle
        else:
            high = middle
    return (low + high) / 2
