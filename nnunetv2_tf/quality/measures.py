"""What a tumour is like, in figures. In: an image and its tumour map. Out: brightness by class, edge of the surface.

The same is measured of real tumours, once per case, and of synthetic ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nnunetv2_tf.dataset.folders import QUALITY
from nnunetv2_tf.geometry.boxes import box_around
from nnunetv2_tf.io.digests import digest
from nnunetv2_tf.io.kept import kept
from nnunetv2_tf.quality.boundary import boundary_gradient
from nnunetv2_tf.working_space.stored import Case, OpenCase

FEWEST = 10  # voxels of a class that its brightness can be told from
MARGIN = 4  # voxels around a tumour that its surface is measured in
MEASURING = 1  # goes up when something is measured in another way


@dataclass(frozen=True)
class TumourMeasures:
    """One case's tumour; brightness as nnU-Net normalises it."""

    means: Mapping[str, tuple[float, ...]]  # by class (its label's value), of each channel
    edges: tuple[float, ...]  # of each channel, mean length of the gradient at the surface, per mm; none: no surface
    source: str = ""  # digest of what it was measured in

    @classmethod
    def of(cls, case: Case) -> "TumourMeasures":
        """Measure a preprocessed case, once: until its arrays, or what its labels stand for, change."""
        source = digest([case.stamp(), MEASURING])
        path = case.dataset.preprocessed / "tf" / QUALITY / case.plan.data_identifier / f"{case.identifier}.json"
        return kept(path, cls, source, lambda: _of_stored(case.open(), source))


def _of_stored(case: OpenCase, source: str) -> TumourMeasures:
    return measure(case.image(), case.tumour(), case.organ(), case.grid.spacing, source)


def measure(
    image: np.ndarray, tumour: np.ndarray, organ: np.ndarray, spacing: Sequence[float], source: str = ""
) -> TumourMeasures:
    """Measure a tumour.

    Args:
        image: (C, Z, Y, X)
        tumour: (Z, Y, X) the map
        organ: (Z, Y, X) bool
        spacing: mm by axis
        source: digest of what these are
    """
    if not tumour.any():
        return TumourMeasures({}, (), source)
    box = box_around(tumour > 0, (MARGIN,) * 3)
    image, tumour, organ = image[(slice(None), *box)], tumour[box], organ[box]
    means = {}
    for value in np.unique(tumour[tumour > 0]):
        inside = tumour == value
        if inside.sum() >= FEWEST:
            means[str(value)] = tuple(float(channel[inside].mean()) for channel in image)
    edges = [boundary_gradient(channel, tumour, organ, spacing) for channel in image]
    return TumourMeasures(means, () if np.isnan(edges).any() else tuple(edges), source)
