"""Healthy hosts made to look like real scans. In: a host and the looks of a real case. Out: the host with those looks.

Research scans differ from clinical ones in contrast and sharpness, and what learns from both would learn that instead
of tumours. A host takes over how the brightness of a real case's healthy tissue is distributed, by a monotone map
through landmarks, and its sharpness along each axis, by blurring: nothing is ever made sharper than it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import distance_transform_edt

from nnunetv2_tf.cases import case_digest
from nnunetv2_tf.folders import LOOKS
from nnunetv2_tf.preparation.blurring import blur
from nnunetv2_tf.preparation.stored import Case
from nnunetv2_tf.records import read_record, to_json
from nnunetv2_tf.stamps import digest
from nnunetv2_tf.work import write_json

QUANTILES = (0.5, 2, *range(5, 100, 5), 98, 99.5)  # the landmarks, in percent
AWAY = 4.0  # mm from a tumour on, tissue counts as healthy
LENGTH, EVERY = 16, 8  # voxels of a stretch whose spectrum is taken, and from one stretch to the next
FREQUENCIES = LENGTH // 2 + 1
FEWEST, MOST = 50, 20_000  # stretches
FITTED = slice(2, 7)  # of the frequencies 0, 1, ..., 8 per stretch: neither shapes nor noise
WIDEST = 2.0  # voxels, standard deviation
FAR = 1e4  # beyond any value
RULES = 1  # another number when what looks are is changed


@dataclass(frozen=True)
class Looks:
    """What healthy tissue of a scan looks like in working space."""

    landmarks: tuple[tuple[float, ...], ...]  # (C, Q) brightness at the quantiles
    spectra: tuple[tuple[tuple[float, ...], ...], ...]  # (C, 3, F) logarithm of the power along Z, Y, X
    source: str = ""  # digest of what they were taken of

    @classmethod
    def of(cls, case: Case) -> "Looks":
        """The kept record of a preprocessed case, or a new one where scan or plans have changed since."""
        source = digest([case.plan.stamp, case_digest(case.files), RULES])
        folder = case.dataset.preprocessed / "tf" / LOOKS / case.plan.data_identifier
        path = folder / f"{case.identifier}.json"
        if path.is_file():
            kept = read_record(cls, path, "delete it, it is made anew.")
            if kept.source == source:
                return kept
        tumour = case.tumour() > 0
        healthy = case.organ()
        if tumour.any():
            healthy = healthy & (np.asarray(distance_transform_edt(~tumour, sampling=case.grid.spacing)) > AWAY)
        record = looks_of(case.image(), healthy if healthy.any() else case.organ(), source)
        write_json(path, to_json(record))
        return record


@dataclass(frozen=True)
class Harmonised:
    """A host with other looks."""

    image: np.ndarray  # (C, Z, Y, X) float32; outside the organ as it was
    blurred: tuple[tuple[float, ...], ...]  # (C, 3) standard deviation in voxels along Z, Y, X


def looks_of(image: np.ndarray, healthy: np.ndarray, source: str = "") -> Looks:
    """Takes the looks of an image (C, Z, Y, X) where it is healthy (Z, Y, X)."""
    landmarks = tuple(_landmarks(channel[healthy]) for channel in image)
    spectra = tuple(tuple(_numbers(_spectrum(channel, healthy, axis)) for axis in range(3)) for channel in image)
    return Looks(landmarks, spectra, source)


def harmonise(image: np.ndarray, organ: np.ndarray, looks: Looks, z_scored: Sequence[bool]) -> Harmonised:
    """Gives a host other looks.

    Args:
        image: (C, Z, Y, X) the host
        organ: (Z, Y, X) bool; elsewhere nothing changes
        looks: those to take over
        z_scored: by channel. The organ of these keeps its mean and standard deviation, so that the case stays one that
            is normalised as a whole; others take over the brightness as it is
    """
    if not organ.any():
        return Harmonised(image, ((0.0,) * 3,) * len(image))
    found, widths = image.copy(), []
    for channel, (landmarks, spectra) in enumerate(zip(looks.landmarks, looks.spectra, strict=True)):
        own = image[channel]
        mapped = _mapped(own, organ, landmarks)
        width = tuple(
            _missing_blur(_spectrum(mapped, organ, axis), np.array(spectra[axis])) for axis in range(3)
        )  # of what is as contrasted as it will be
        if any(width):
            mapped = _mapped(blur(own[None], organ, width)[0], organ, landmarks)
        values = mapped[organ]
        if z_scored[channel]:
            before = own[organ]
            values = (values - values.mean()) / max(float(values.std()), 1e-6) * before.std() + before.mean()
        found[channel][organ] = values
        widths.append(width)
    return Harmonised(found, tuple(widths))


def _landmarks(values: np.ndarray) -> tuple[float, ...]:
    return _numbers(np.percentile(values, QUANTILES))


def _mapped(image: np.ndarray, organ: np.ndarray, landmarks: Sequence[float]) -> np.ndarray:
    """(Z, Y, X): in the organ, quantiles become the landmarks; straight in between, and beyond them as overall."""
    values = image[organ]
    own, theirs = np.array(_landmarks(values)), np.array(landmarks)
    own = np.maximum.accumulate(own) + 1e-6 * np.arange(len(own))  # several quantiles may share a value
    slope = (theirs[-1] - theirs[0]) / (own[-1] - own[0])
    own = np.array([own[0] - FAR, *own, own[-1] + FAR])
    theirs = np.array([theirs[0] - slope * FAR, *theirs, theirs[-1] + slope * FAR])
    mapped = image.copy()
    mapped[organ] = np.interp(values, own, theirs)
    return mapped


def _spectrum(image: np.ndarray, where: np.ndarray, axis: int) -> np.ndarray:
    """(F,) logarithm of the mean power along an axis, over stretches that are inside; all 0 where there are few."""
    lines, inside = (np.moveaxis(volume, axis, -1) for volume in (image, where))
    if lines.shape[-1] < LENGTH:
        return np.zeros(FREQUENCIES)
    whole = sliding_window_view(inside, LENGTH, axis=-1)[..., ::EVERY, :].all(axis=-1)
    stretches = sliding_window_view(lines, LENGTH, axis=-1)[..., ::EVERY, :]
    places = np.argwhere(whole)
    if len(places) < FEWEST:
        return np.zeros(FREQUENCIES)
    places = places[:: -(-len(places) // MOST)]
    values = stretches[tuple(places.T)]
    values = (values - values.mean(axis=-1, keepdims=True)) * np.hanning(LENGTH)
    return np.log((np.abs(np.fft.rfft(values, axis=-1)) ** 2).mean(axis=0) + 1e-12)


def _missing_blur(own: np.ndarray, wanted: np.ndarray) -> float:
    """The standard deviation, in voxels, of the Gaussian that makes a spectrum fall off as another does; 0 for none.

    A Gaussian multiplies power by exp(-4 pi^2 sigma^2 f^2).
    """
    if not own.any() or not wanted.any():
        return 0.0
    f = np.arange(len(own))[FITTED] / LENGTH
    slope, _ = np.polyfit(f**2, (wanted - own)[FITTED], 1)
    return float(min(np.sqrt(max(-slope, 0.0)) / (2 * np.pi), WIDEST))


def _numbers(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
