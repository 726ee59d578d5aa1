"""Healthy hosts made to look like real scans. In: a host, the appearance of a real case. Out: the host, changed.

Research scans differ from clinical ones in contrast and sharpness, and what learns from both would learn that instead
of tumours. A host takes over how the brightness of a real case's healthy tissue is distributed, by a monotone map
through landmarks, and its sharpness along each axis, by blurring: nothing is ever made sharper than it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import distance_transform_edt

from nnunetv2_tf.dataset.folders import LOOKS
from nnunetv2_tf.geometry.boxes import box_around
from nnunetv2_tf.io.digests import digest
from nnunetv2_tf.io.kept import kept
from nnunetv2_tf.working_space.blurring import blur
from nnunetv2_tf.working_space.stored import Case, OpenCase

QUANTILES = (0.5, 2, *range(5, 100, 5), 98)  # the landmarks, in percent; above are vessels, fat and rims of skull
AWAY = 4.0  # mm from a tumour on, tissue counts as healthy
LENGTH, EVERY = 16, 8  # voxels of a stretch whose spectrum is taken, and from one stretch to the next
FREQUENCIES = LENGTH // 2 + 1
FEWEST, MOST = 50, 5_000  # stretches
ENOUGH = 100_000  # voxels that landmarks are taken from, about
TABLE = 4096  # brightnesses between which a map is linear
LEAST = 1000  # voxels of healthy tissue that an appearance can be measured in
WIDEST = 4.0  # voxels, standard deviation
ROUNDS, LITTLE = 5, 0.15  # of measuring blur; voxels that do not matter
HALVINGS = 12  # of the span that a width lies in
FAR = 1e9  # beyond any value
RULES = 3  # goes up when appearance, or the way hosts take it over, changes
ABSOLUTE = ("CTNormalization", "NoNormalization")  # brightness means something; others rescale each case by itself
Z_SCORED = "ZScoreNormalization"


@dataclass(frozen=True)
class Appearance:
    """What healthy tissue of a scan looks like in working space; empty where there is too little of it."""

    landmarks: tuple[tuple[float, ...], ...]  # (C, Q) brightness at the quantiles
    spectra: tuple[tuple[tuple[float, ...], ...], ...]  # (C, 3, F) logarithm of the power along Z, Y, X
    source: str = ""  # digest of the arrays that it was measured in

    @classmethod
    def of(cls, case: Case) -> "Appearance":
        """Measure a preprocessed case, once: until its arrays, or what its labels stand for, change."""
        source = digest([*case.stamp(), RULES])
        folder = case.dataset.preprocessed / "tf" / LOOKS / case.plan.data_identifier
        return kept(folder / f"{case.identifier}.json", cls, source, lambda: _measured(case.open(), source))


@dataclass(frozen=True)
class Harmonised:
    """A host with the appearance of another scan."""

    image: np.ndarray  # (C, Z, Y, X) float32; outside the organ as it was
    blurred: tuple[tuple[float, ...], ...]  # (C, 3) standard deviation in voxels along Z, Y, X


def _measured(case: OpenCase, source: str) -> Appearance:
    tumour, healthy, spacing = case.tumour() > 0, case.organ(), case.grid.spacing
    if tumour.any():
        around = box_around(tumour, [int(AWAY / step) + 1 for step in spacing])
        healthy[around] &= np.asarray(distance_transform_edt(~tumour[around], sampling=spacing)) > AWAY
    return appearance_of(case.image(), healthy, source)


def appearance_of(image: np.ndarray, healthy: np.ndarray, source: str = "") -> Appearance:
    """Measure the appearance of an image (C, Z, Y, X) where it is healthy (Z, Y, X)."""
    if healthy.sum() < LEAST:
        return Appearance((), (), source)
    box = (slice(None), *box_around(healthy))
    image, healthy = image[box], healthy[box[1:]]
    landmarks = tuple(_landmarks(channel[healthy]) for channel in image)
    places = _stretches(healthy)
    spectra = tuple(tuple(_numbers(_spectrum(channel, places, axis)) for axis in range(3)) for channel in image)
    return Appearance(landmarks, spectra, source)


def harmonise(image: np.ndarray, organ: np.ndarray, appearance: Appearance, schemes: Sequence[str]) -> Harmonised:
    """Give a host the appearance of another scan.

    Args:
        image: (C, Z, Y, X) the host
        organ: (Z, Y, X) bool; elsewhere nothing changes
        appearance: what to take over
        schemes: nnU-Net's normalisation by channel. Where it z-scores, the organ keeps its mean and standard deviation,
            so that the case stays one that is normalised as a whole; where values mean something, as in CT, brightness
            is taken over as it is; channels of other schemes stay as they are
    """
    harmonised, widths = image.copy(), []
    if organ.sum() < LEAST or not appearance.landmarks:
        return Harmonised(harmonised, ((0.0,) * 3,) * len(image))
    box = box_around(organ)
    organ = organ[box]
    places = _stretches(organ)
    for channel, (landmarks, spectra) in enumerate(zip(appearance.landmarks, appearance.spectra, strict=True)):
        original = image[channel][box]
        if schemes[channel] not in (Z_SCORED, *ABSOLUTE):
            widths.append((0.0,) * 3)
            continue
        mapped = _mapped(original, organ, landmarks)  # first, since contrast changes spectra
        width = _width(mapped, organ, places, np.array(spectra))
        if width.any():
            mapped = _mapped(blur(original[None], organ, width.tolist())[0], organ, landmarks)
        values = mapped[organ]
        if schemes[channel] == Z_SCORED:
            before = original[organ]
            values = (values - values.mean()) / max(float(values.std()), 1e-6) * before.std() + before.mean()
        harmonised[channel][box][organ] = values
        widths.append(_numbers(width))
    return Harmonised(harmonised, tuple(widths))


def _landmarks(values: np.ndarray) -> tuple[float, ...]:
    return _numbers(np.percentile(values[:: max(1, len(values) // ENOUGH)], QUANTILES))


def _mapped(image: np.ndarray, organ: np.ndarray, landmarks: Sequence[float]) -> np.ndarray:
    """Return (Z, Y, X): in the organ, quantiles become the landmarks; linear in between, and beyond as overall."""
    values = image[organ]
    quantiles, targets = np.array(_landmarks(values)), np.array(landmarks)
    quantiles = np.maximum.accumulate(quantiles) + 1e-6 * np.arange(len(quantiles))  # some may share a value
    slope = (targets[-1] - targets[0]) / (quantiles[-1] - quantiles[0])
    quantiles = np.array([quantiles[0] - FAR, *quantiles, quantiles[-1] + FAR])
    targets = np.array([targets[0] - slope * FAR, *targets, targets[-1] + slope * FAR])
    mapped = image.copy()
    mapped[organ] = _by_table(values, quantiles, targets)
    return mapped


def _by_table(values: np.ndarray, quantiles: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return (n,) float32: values (n,) float32 under the map that is linear between quantiles and their targets.

    By a table of the map, so that the place of each value need not be searched for.
    """
    low, high = float(values.min()), float(values.max())
    table = np.interp(np.linspace(low, high, TABLE), quantiles, targets).astype(np.float32)
    place = (values - np.float32(low)) * np.float32((TABLE - 1) / max(high - low, 1e-6))
    first = np.minimum(place.astype(np.int32), TABLE - 2)
    return table[first] + np.subtract(place, first, dtype=np.float32) * np.diff(table)[first]


def _stretches(where: np.ndarray) -> list[np.ndarray]:
    """Return by axis (n, 3): where stretches along it lie inside, as `_spectrum` counts them; none where few do."""
    stretches = []
    for axis in range(3):
        inside = np.moveaxis(where, axis, -1)
        places = np.empty((0, 3), int)
        if inside.shape[-1] >= LENGTH:
            places = np.argwhere(sliding_window_view(inside, LENGTH, axis=-1)[..., ::EVERY, :].all(axis=-1))
        stretches.append(places[:: -(-len(places) // MOST)] if len(places) >= FEWEST else places[:0])
    return stretches


def _spectrum(image: np.ndarray, places: Sequence[np.ndarray], axis: int) -> np.ndarray:
    """Return (F,): the logarithm of the mean power along an axis, over stretches inside; all 0 where there are few."""
    if not len(places[axis]):
        return np.zeros(FREQUENCIES)
    stretches = sliding_window_view(np.moveaxis(image, axis, -1), LENGTH, axis=-1)[..., ::EVERY, :]
    values = stretches[tuple(places[axis].T)]
    values = (values - values.mean(axis=-1, keepdims=True)) * np.hanning(LENGTH)
    return np.log((np.abs(np.fft.rfft(values, axis=-1)) ** 2).mean(axis=0) + 1e-12)


def _width(image: np.ndarray, organ: np.ndarray, places: Sequence[np.ndarray], spectra: np.ndarray) -> np.ndarray:
    """Return (3,): standard deviations, in voxels, of the blur that gives an image such spectra.

    The axis that lacks most comes first, again and again: blur along one axis takes from the others' spectra too, and
    short stretches see less of it than there is.
    """
    width = np.zeros(3)
    for _ in range(ROUNDS):
        more = [_missing_blur(_spectrum(image, places, axis), spectra[axis]) for axis in range(3)]
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


def _numbers(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
