"""Healthy hosts made to look like real scans. In: a host, the appearance of a real case. Out: the host, changed.

Research scans differ from clinical ones in contrast and sharpness, and what learns from both would learn that instead
of tumours. A host takes over how bright a real case's healthy tissue is, by depth, and how sharp along each axis.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt

from nnunetv2_tf.dataset.folders import LOOKS
from nnunetv2_tf.geometry.boxes import box_around
from nnunetv2_tf.geometry.distances import depth_in
from nnunetv2_tf.io.digests import digest
from nnunetv2_tf.io.kept import kept
from nnunetv2_tf.synthesis.brightness import Brightness
from nnunetv2_tf.synthesis.sharpness import blur_that_gives, spectrum_along, stretches_in
from nnunetv2_tf.working_space.blurring import blur
from nnunetv2_tf.working_space.stored import Case, OpenCase

AWAY = 4.0  # mm from a tumour on, tissue counts as healthy
LEAST = 1000  # voxels of healthy tissue that an appearance can be measured in
HARMONISING = 4  # goes up when appearance, or the way hosts take it over, changes
ABSOLUTE = ("CTNormalization", "NoNormalization")  # brightness means something; others rescale each case by itself
Z_SCORED = "ZScoreNormalization"


@dataclass(frozen=True)
class Appearance:
    """What healthy tissue of a scan looks like in working space; empty where there is too little of it."""

    brightness: tuple[Brightness, ...]  # by channel
    spectra: tuple[tuple[tuple[float, ...], ...], ...]  # (C, 3, F) logarithm of the power along Z, Y, X
    source: str = ""  # digest of the arrays that it was measured in

    @classmethod
    def of(cls, case: Case) -> "Appearance":
        """Measure a preprocessed case, once: until its arrays, or what its labels stand for, change."""
        source = digest([*case.stamp(), HARMONISING])
        folder = case.dataset.preprocessed / "tf" / LOOKS / case.plan.data_identifier
        return kept(folder / f"{case.identifier}.json", cls, source, lambda: _measured(case.open(), source))


@dataclass(frozen=True)
class Harmonised:
    """A host with the appearance of another scan."""

    image: np.ndarray  # (C, Z, Y, X) float32; outside the organ as it was
    blurred: tuple[tuple[float, ...], ...]  # (C, 3) standard deviation in voxels along Z, Y, X


def _measured(case: OpenCase, source: str) -> Appearance:
    tumour, healthy, spacing = case.tumour() > 0, case.organ(), case.grid.spacing
    depth = depth_in(healthy | tumour, spacing)
    if tumour.any():
        around = box_around(tumour, [int(AWAY / step) + 1 for step in spacing])
        healthy[around] &= np.asarray(distance_transform_edt(~tumour[around], sampling=spacing)) > AWAY
    return appearance_of(case.image(), healthy, depth, source)


def appearance_of(image: np.ndarray, healthy: np.ndarray, depth: np.ndarray, source: str = "") -> Appearance:
    """Measure the appearance of an image.

    Args:
        image: (C, Z, Y, X)
        healthy: (Z, Y, X) bool; where it is
        depth: (Z, Y, X) mm under the organ's surface
        source: digest of all that
    """
    if healthy.sum() < LEAST:
        return Appearance((), (), source)
    box = box_around(healthy)
    image, healthy, depth = image[(slice(None), *box)], healthy[box], depth[box]
    brightness = tuple(Brightness.of(channel[healthy], depth[healthy]) for channel in image)
    places = stretches_in(healthy)
    spectra = tuple(tuple(_numbers(spectrum_along(channel, places, axis)) for axis in range(3)) for channel in image)
    return Appearance(brightness, spectra, source)


def harmonise(
    image: np.ndarray, organ: np.ndarray, spacing: Sequence[float], appearance: Appearance, schemes: Sequence[str]
) -> Harmonised:
    """Give a host the appearance of another scan.

    Args:
        image: (C, Z, Y, X) the host
        organ: (Z, Y, X) bool; elsewhere nothing changes
        spacing: mm along Z, Y, X
        appearance: what to take over
        schemes: nnU-Net's normalisation by channel. Where it z-scores, the organ keeps its mean and standard deviation,
            so that the case stays one that is normalised as a whole; where values mean something, as in CT, brightness
            is taken over as it is; channels of other schemes stay as they are
    """
    harmonised, widths = image.copy(), []
    if organ.sum() < LEAST or not appearance.brightness:
        return Harmonised(harmonised, ((0.0,) * 3,) * len(image))
    box = box_around(organ)
    organ = organ[box]
    depth, places = depth_in(organ, spacing)[organ], stretches_in(organ)
    for channel, (wanted, spectra) in enumerate(zip(appearance.brightness, appearance.spectra, strict=True)):
        original = image[channel][box]
        if schemes[channel] not in (Z_SCORED, *ABSOLUTE):
            widths.append((0.0,) * 3)
            continue
        brighter = original.copy()
        brighter[organ] = wanted.given_to(original[organ], depth)  # first, since contrast changes spectra
        width = blur_that_gives(brighter, organ, places, np.array(spectra))
        values = brighter[organ]
        if width.any():
            values = wanted.given_to(blur(original[None], organ, width.tolist())[0][organ], depth)
        if schemes[channel] == Z_SCORED:
            before = original[organ]
            values = (values - values.mean()) / max(float(values.std()), 1e-6) * before.std() + before.mean()
        harmonised[channel][box][organ] = values
        widths.append(_numbers(width))
    return Harmonised(harmonised, tuple(widths))


def _numbers(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
