"""Preparation of healthy scans like the real cohort's. In: a person's channels. Out: the same on the reference's grid.

The skull is stripped, the bias field corrected if asked for, and the scan registered to the reference; each channel is
resampled once, with all transforms in one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from nnunetv2_tf.dataset.volumes import same_grid
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.registration.bias_field import corrected
from nnunetv2_tf.registration.quality_control import Measures
from nnunetv2_tf.registration.reference import Reference
from nnunetv2_tf.registration.register import Registration, matrix_of, register, register_rigid
from nnunetv2_tf.registration.skull_strip import Stripper, brain_mask

BRIGHT, PERCENTILE = 1000.0, 99.0  # in what is written the brain's 99th percentile has this value
EDGE = 0.5  # voxels of which a larger share than this is brain count as brain
NEGATIVE = 0.01  # of a brain: interpolation may leave less than this below 0, normalisation leaves more


@dataclass(frozen=True)
class Prepared:
    """A person's channels on the reference's grid."""

    images: tuple[sitk.Image, ...]  # int16, 0 outside the brain and at least 1 inside
    brain: sitk.Image  # uint8
    measures: Measures
    transform: tuple[float, ...]  # matrix (4, 4) that takes points of the reference to points of the scan


def prepare(channels: Sequence[sitk.Image], reference: Reference, strip: Stripper, n4: bool) -> Prepared:
    """Prepare the channels of one person.

    Args:
        channels: as scanned, each on its own grid; the first is registered to the reference, the others to the first
        reference: what the first channel is registered to
        strip: the skull stripper
        n4: whether to correct the bias field; the real cohort must be treated alike
    """
    first = sitk.Cast(channels[0], sitk.sitkFloat32)
    mask = brain_mask(first, strip)
    registration = register(sitk.Mask(first, mask), reference.image)
    brain = _brain_on_grid(mask, reference, registration)
    if not brain.any():
        raise UserError("its brain cannot be laid upon the reference")
    images, seen = [], brain
    for channel in channels:
        image = sitk.Cast(channel, sitk.sitkFloat32)
        to_channel = registration.transform
        channel_mask = mask
        if not same_grid(image, first):
            within = register_rigid(image, first)
            channel_mask = sitk.Resample(mask, image, within.GetInverse(), sitk.sitkNearestNeighbor, 0)
            to_channel = sitk.CompositeTransform([within, registration.transform])  # the last is applied first
        _check_not_negative(image, channel_mask)
        if n4:
            image = corrected(image, channel_mask)
        images.append(_scaled(sitk.Resample(image, reference.image, to_channel, sitk.sitkLinear, 0.0), brain))
        seen = seen & _inside(image, reference.image, to_channel)
    label = sitk.GetImageFromArray(brain.astype(np.uint8))
    label.CopyInformation(reference.image)
    measures = _measures(first, mask, seen, brain, registration, reference)
    return Prepared(tuple(images), label, measures, matrix_of(registration.transform))


def _brain_on_grid(mask: sitk.Image, reference: Reference, registration: Registration) -> np.ndarray:
    share = sitk.Resample(
        sitk.Cast(mask, sitk.sitkFloat32), reference.image, registration.transform, sitk.sitkLinear, 0.0
    )
    return sitk.GetArrayFromImage(share) > EDGE


def _inside(image: sitk.Image, grid: sitk.Image, transform: sitk.Transform) -> np.ndarray:
    """Return which voxels of a grid lie within the volume of a scan."""
    everywhere = sitk.Cast(image * 0 + 1, sitk.sitkUInt8)
    return sitk.GetArrayFromImage(sitk.Resample(everywhere, grid, transform, sitk.sitkNearestNeighbor, 0)) > 0


def _check_not_negative(image: sitk.Image, mask: sitk.Image) -> None:
    """Raise when a scan was normalised before: values below 1 would be lost, since at least 1 is written."""
    inside = sitk.GetArrayViewFromImage(image)[sitk.GetArrayViewFromImage(mask) > 0]
    share = float((inside < 0).mean()) if inside.size else 0.0
    if share > NEGATIVE:
        raise UserError(f"{100 * share:.0f} % of its brain are below 0, as after normalisation; take the scan itself")


def _scaled(image: sitk.Image, brain: np.ndarray) -> sitk.Image:
    """Return an image of int16: 0 outside the brain; inside at least 1, since nnU-Net takes 0 for background."""
    values = sitk.GetArrayFromImage(image)
    scale = BRIGHT / max(float(np.percentile(values[brain], PERCENTILE)), 1e-6)
    limited = np.clip(np.rint(values * scale), 1, np.iinfo(np.int16).max)
    result = sitk.GetImageFromArray(np.where(brain, limited, 0).astype(np.int16))
    result.CopyInformation(image)
    return result


def _measures(
    scan: sitk.Image,
    mask: sitk.Image,
    seen: np.ndarray,
    brain: np.ndarray,
    registration: Registration,
    reference: Reference,
) -> Measures:
    inside = sitk.GetArrayViewFromImage(mask) > 0
    millilitres = float(inside.sum()) * float(np.prod(scan.GetSpacing())) / 1000
    on_grid = float(seen.sum()) * float(np.prod(reference.image.GetSpacing())) / 1000
    volume_change = abs(float(np.linalg.det(np.reshape(registration.transform.GetMatrix(), (3, 3)))))
    dark, middle, bright = np.percentile(sitk.GetArrayViewFromImage(scan)[inside], [5, 50, 95])
    if middle <= 0:
        raise UserError("most of its brain is 0, so it is no scan; leave it out")
    both = float((brain & reference.brain).sum())
    return Measures(
        before=registration.before,
        after=registration.after,
        brain_ml=millilitres,
        overlap=2 * both / float(brain.sum() + reference.brain.sum()),
        covered=min(1.0, on_grid * volume_change / millilitres),
        dark=float(dark / middle),
        bright=float(bright / middle),
    )
