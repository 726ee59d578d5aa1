"""A donor on the host's grid: as it lies, since cases of a dataset share one space of millimetres, or transformed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnunetv2_tf.preparation.resampling import resample, resample_label
from nnunetv2_tf.preparation.stored import Case
from nnunetv2_tf.tumours.bank import Lesion
from nnunetv2_tf.tumours.recipe import Tumour
from nnunetv2_tf.tumours.transform import Moved, overlap


@dataclass(frozen=True)
class Placed:
    """A donor as the host's grid sees it."""

    label: np.ndarray  # (Z, Y, X) int16
    tumour: np.ndarray  # (Z, Y, X) int16, the label where it is tumour
    organ: np.ndarray  # (Z, Y, X) bool; of a transformed donor, what of it lies in the box around its tumour
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


def place_moved(moved: Moved, lesion: Lesion, donor: Case, shape: Sequence[int]) -> Placed:
    """Brings the box around a donor's tumour onto a grid of `shape`, the way its map went.

    Args:
        moved: the map
        lesion: the donor's, as the bank holds it
        donor: the case
        shape: of the grid that it was moved to
    """
    course = moved.course
    box, own = overlap(course.start, course.shape, shape)
    inside, _ = overlap(lesion.start, lesion.label.shape, donor.grid.shape)
    wider = [
        (part.start - first, first + size - part.stop)
        for part, first, size in zip(inside, lesion.start, lesion.label.shape, strict=True)
    ]  # the lesion's box is a voxel larger than its tumour, which may lie at the edge
    image = course.image(np.pad(donor.image(inside), [(0, 0), *wider], mode="edge"))
    own_label = np.pad(donor.label()[inside], wider)
    label = moved.label if np.array_equal(own_label, lesion.label) else course.label(own_label)
    organ = course.mask(np.pad(donor.organ()[inside], wider))
    placed = Placed(
        label=np.zeros(shape, np.int16),
        tumour=np.zeros(shape, np.int16),
        organ=np.zeros(shape, bool),
        image=np.zeros((len(image), *shape), np.float32),
    )
    assert placed.image is not None
    placed.label[box], placed.organ[box], placed.image[(slice(None), *box)] = (
        label[own], organ[own], image[(slice(None), *own)],
    )  # fmt: skip
    placed.tumour[box] = moved.label[own]
    return placed
