"""A donor's tumour on the host's grid. Cases of a dataset share one space of millimetres, so it keeps its place."""

from dataclasses import dataclass

import numpy as np

from nnunetv2_tf.preparation.resampling import resample, resample_label
from nnunetv2_tf.preparation.stored import Case
from nnunetv2_tf.tumours.recipe import Tumour


@dataclass(frozen=True)
class Placed:
    """A donor as the host's grid sees it."""

    label: np.ndarray  # (Z, Y, X) int16
    tumour: np.ndarray  # (Z, Y, X) int16, the label where it is tumour
    organ: np.ndarray  # (Z, Y, X) bool
    image: np.ndarray | None  # (C, Z, Y, X) float32


def place(tumour: Tumour, donor: Case, host: Case, with_image: bool) -> Placed:
    """Brings a donor onto the host's grid."""
    assert tumour.untransformed  # recipes that transform are refused when they are read
    affine = np.linalg.inv(donor.grid.affine) @ host.grid.affine
    shape = host.grid.shape
    label = resample_label(donor.label(), affine, shape)
    inside = resample(donor.organ(), affine, shape, 0, False)
    image = None
    if with_image:
        image = np.stack([resample(channel, affine, shape, 3, 0.0) for channel in donor.image()])
    return Placed(label, np.where(np.isin(label, donor.meaning.tumour), label, 0).astype(np.int16), inside, image)
