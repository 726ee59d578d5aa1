"""A donor's scan around its tumour, on the host's grid, for methods that paste or look at it.

Donors of real hosts stay where they are, since cases of a dataset share one space of millimetres; those of healthy
hosts go the way of their tumour map.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import maximum_filter

from nnunetv2_tf.geometry.boxes import overlap
from nnunetv2_tf.geometry.resampling import resample, resample_label
from nnunetv2_tf.tumours.warp import WarpedTumour
from nnunetv2_tf.working_space.stored import OpenCase

SEEN = 8.0  # mm around its tumour, along each axis, as far as a donor is warped


@dataclass(frozen=True)
class DonorPatch:
    """A donor as the host's grid sees it."""

    label: np.ndarray  # (Z, Y, X) int16
    tumour: np.ndarray  # (Z, Y, X) int16, the label where it is tumour
    organ: np.ndarray  # (Z, Y, X) bool; of a warped donor, what of the box around its tumour lies near it
    image: np.ndarray | None  # (C, Z, Y, X) float32


def patch_in_place(donor: OpenCase, host: OpenCase, with_image: bool) -> DonorPatch:
    """Resample a donor that stays where it is onto the host's grid."""
    affine = np.linalg.inv(donor.grid.affine) @ host.grid.affine
    shape = host.grid.shape
    label = resample_label(donor.label(), affine, shape)
    inside = resample(donor.organ(), affine, shape, 0, False)
    image = None
    if with_image:
        image = np.stack([resample(channel, affine, shape, 3, 0.0) for channel in donor.image()])
    tumour = np.where(np.isin(label, donor.roles.tumour), label, 0).astype(np.int16)
    return DonorPatch(label, tumour, inside, image)


def warped_patch(tumour: WarpedTumour, donor: OpenCase, shape: Sequence[int], spacing: Sequence[float]) -> DonorPatch:
    """Warp a donor's tumour and what is around it onto a grid of a shape and spacing, the way its map went."""
    lesion, warp = tumour.lesion, tumour.warp
    there, here = overlap(warp.start, warp.shape, shape)
    inside, _ = overlap(lesion.start, lesion.label.shape, donor.grid.shape)
    wider = [
        (part.start - first, first + size - part.stop)
        for part, first, size in zip(inside, lesion.start, lesion.label.shape, strict=True)
    ]  # the lesion's box is a voxel larger than its tumour, which may lie at the edge
    around = [2 * round(SEEN / step) + 1 for step in spacing]
    near = np.asarray(maximum_filter(tumour.label > 0, around, mode="constant"))
    image, organ = warp.seen(
        np.pad(donor.image(inside), [(0, 0), *wider], mode="edge"), np.pad(donor.organ()[inside], wider), near
    )
    donor_label = np.pad(donor.label()[inside], wider)
    label = tumour.label if np.array_equal(donor_label, lesion.label) else warp.label(donor_label)

    def on_grid(array: np.ndarray) -> np.ndarray:
        whole = np.zeros((*array.shape[:-3], *shape), array.dtype)
        whole[(..., *there)] = array[(..., *here)]
        return whole

    return DonorPatch(on_grid(label), on_grid(tumour.label), on_grid(organ), on_grid(image))
