"""White and grey matter in a host. In: its image and its organ. Out: how white each voxel is, by its brightness."""

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

from nnunetv2_tf.dataset.modalities import first_known

WHITE_IS_BRIGHT = {"t1n": True, "t1c": True, "t2f": False, "t2w": False, "pdw": False}  # the most telling first


def white_share(
    image: np.ndarray, organ: np.ndarray, fluid: np.ndarray | None, channels: Sequence[str]
) -> np.ndarray | None:
    """Return (Z, Y, X) float32: 0 as bright as grey matter, 1 as white matter, even steps between.

    Both are the means of the two classes into which Otsu's threshold parts what is not fluid. None where no channel is
    one that is known to tell them apart.

    Args:
        image: (C, Z, Y, X)
        organ: (Z, Y, X) bool
        fluid: (Z, Y, X) bool, if known
        channels: their names
    """
    known = first_known(WHITE_IS_BRIGHT, channels)
    if known is None:
        return None
    modality, index = known
    return _share(image[index], organ if fluid is None else organ & ~fluid, WHITE_IS_BRIGHT[modality])


def _share(channel: np.ndarray, tissue: np.ndarray, white_is_bright: bool) -> np.ndarray | None:
    values = channel[tissue].astype(np.float32)
    if not values.size or values.min() == values.max():
        return None
    values = np.clip(values, *np.percentile(values, [0.5, 99.5]))
    otsu = sitk.OtsuThresholdImageFilter()
    otsu.Execute(sitk.GetImageFromArray(values[None, None]))
    dark, bright = values[values <= otsu.GetThreshold()].mean(), values[values > otsu.GetThreshold()].mean()
    grey, white = (dark, bright) if white_is_bright else (bright, dark)
    return np.clip((channel - grey) / (white - grey), 0, 1).astype(np.float32) * tissue
