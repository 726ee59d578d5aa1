"""Fluid in a host. In: its image and its organ. Out: where ventricles and sulci are, estimated from brightness."""

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from nnunetv2_tf.dataset.modalities import first_known
from nnunetv2_tf.geometry.blocks import Blocks
from nnunetv2_tf.geometry.boxes import box_around, shape_of

DARK, BRIGHT = ("t1n", "t1c", "t2f"), ("t2w", "pdw")  # channels that show fluid so, the most telling first
WIDE_MM, WIDE_GRID = 6.0, 2.0  # sulci that are narrower close in swollen tissue; mm at which this is looked at
FINDING = 1  # counts up when fluid comes to be found in another way
SMALLEST_MM3 = 50.0  # smaller spots are noise, or vessels


def find_fluid(
    image: np.ndarray, organ: np.ndarray, channels: Sequence[str], spacing: Sequence[float]
) -> np.ndarray | None:
    """Return (Z, Y, X) bool: the core of the darkest (or brightest) of three classes of brightness in the organ.

    The classes are Otsu's. Their core is what is darker than halfway between the class's mean and its limit: beyond it
    lies tissue that shares its voxels with fluid. Small spots do not count.

    None where no channel is one that is known to show fluid.

    Args:
        image: (C, Z, Y, X)
        organ: (Z, Y, X) bool
        channels: their names
        spacing: in mm
    """
    known = first_known((*DARK, *BRIGHT), channels)
    if known is None:
        return None
    modality, index = known
    return _extreme(image[index], organ, modality in DARK, spacing)


def wide(fluid: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Return (Z, Y, X) bool: fluid that is wide, as ventricles are, without narrow sulci.

    Args:
        fluid: (Z, Y, X) bool
        spacing: in mm
    """
    blocks = Blocks.near(WIDE_GRID, spacing, fluid.shape)
    coarse = blocks.mean(fluid) > 0.5
    half = (WIDE_MM + min(blocks.spacing)) / 2  # distances count from the middle of the nearest block outside
    inside = np.asarray(ndimage.distance_transform_edt(coarse, sampling=blocks.spacing)) >= half
    if not inside.any():
        return np.zeros_like(fluid)
    near = np.asarray(ndimage.distance_transform_edt(~inside, sampling=blocks.spacing)) <= half
    return fluid & blocks.repeated(near)


def _extreme(channel: np.ndarray, organ: np.ndarray, dark: bool, spacing: Sequence[float]) -> np.ndarray:
    values = channel[organ].astype(np.float32)
    if not values.size or values.min() == values.max():
        return np.zeros(organ.shape, bool)
    values = np.clip(values, *np.percentile(values, [0.5, 99.5]))
    otsu = sitk.OtsuMultipleThresholdsImageFilter()
    otsu.SetNumberOfThresholds(2)
    otsu.Execute(sitk.GetImageFromArray(values[None, None]))
    low, high = otsu.GetThresholds()
    if dark:
        core = organ & (channel < (values[values < low].mean() + low) / 2)
    else:
        core = organ & (channel > (values[values > high].mean() + high) / 2)
    if not core.any():
        return core
    box = box_around(core)
    pieces: np.ndarray = np.zeros(shape_of(box), np.int32)
    ndimage.label(core[box], output=pieces)
    large = np.bincount(pieces.ravel()) * float(np.prod(spacing)) >= SMALLEST_MM3
    large[0] = False
    core[box] = large[pieces]
    return core
