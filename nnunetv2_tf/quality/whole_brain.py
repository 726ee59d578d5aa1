"""What a tumour does to the brain around it. In: a whole case. Out: asymmetry of its halves, of ventricles, of midline.

Means something on healthy hosts only: a patient whose other side received a second tumour is swollen the wrong way.
"""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

from nnunetv2_tf.geometry.symmetry import middle_shift

AWAY = 10.0  # mm from the tumour on
CENTRAL = 20.0  # mm on either side of the middle, where ventricles and the gap between hemispheres are
BLUR = 5.0  # mm


def asymmetry(
    image: np.ndarray,
    tumour: np.ndarray,
    organ: np.ndarray,
    fluid: np.ndarray | None,
    spacing: Sequence[float],
    sideways: int,
) -> dict[str, float]:
    """Return figures of left against right; nan where they cannot be told.

    Args:
        image: (C, Z, Y, X)
        tumour: (Z, Y, X) bool, not empty
        organ: (Z, Y, X) bool
        fluid: (Z, Y, X) bool; None: no channel shows it
        spacing: mm by axis
        sideways: the axis from left to right
    """

    def sides(array: np.ndarray) -> np.ndarray:
        return np.moveaxis(array, sideways, -1)

    where = sides(organ)
    columns = np.flatnonzero(where.any(axis=(0, 1)))
    first, last = int(columns[0]), int(columns[-1]) + 1
    cut = (slice(None), slice(None), slice(first, last))
    organ_, tumour_ = where[cut], sides(tumour)[cut]
    far = np.asarray(
        distance_transform_edt(~sides(tumour), sampling=[*np.delete(spacing, sideways), spacing[sideways]])
    )
    healthy = organ_ & (far[cut] > AWAY)
    both = healthy & healthy[..., ::-1]
    sigma = [BLUR / step for step in (*np.delete(spacing, sideways), spacing[sideways])]
    figures = {}
    smooth = gaussian_filter(np.where(organ_, sides(image[0])[cut], 0), sigma)
    difference = np.abs(smooth - smooth[..., ::-1])[both]
    figures["left and right differ"] = float(difference.mean()) if difference.size else np.nan
    middle = (last - first - 1) / 2
    offset = (np.arange(last - first) - middle) * spacing[sideways]
    towards = float(np.sign((tumour_.sum(axis=(0, 1)) * offset).sum()) or 1.0)
    figures["midline"] = -towards * middle_shift(image[0], organ, tumour, spacing, sideways)  # above 0: pushed away
    if fluid is None:
        return {**figures, "ventricles": np.nan}
    central = np.asarray(sides(fluid)[cut] & ~tumour_ & (np.abs(offset) <= CENTRAL))
    here, there = (float(central[..., towards * offset * sign > 0].sum()) for sign in (1, -1))
    figures["ventricles"] = float(np.log((here + 20) / (there + 20)))  # below 0: smaller on the tumour's side
    return figures
