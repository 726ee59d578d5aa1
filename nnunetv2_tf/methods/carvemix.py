"""CarveMix (Zhang et al. 2021, 2023): the region around another patient's lesion replaces the same region here.

The region is where the signed distance phi to the lesion (minus the depth inside, the distance outside) is below a
random lambda, so it is the lesion's core, or the lesion with a margin. With D, the greatest depth: half of the time
lambda is uniform in (-D/2, 0), else in (0, D). Several classes count as one lesion. In working space both cases are
normalised, so intensities are harmonised as in the published variant for heterogeneous data.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt

from nnunetv2_tf.geometry.boxes import Box, box_around
from nnunetv2_tf.methods.base import CheckConfig, Edited, PastingMethod, Site


@dataclass(frozen=True)
class CarveMixConfig:
    """The range of lambda, as multiples of the lesion's depth D."""

    inward: float = 0.5  # the smallest lambda is -inward * D
    outward: float = 1.0  # the largest lambda is outward * D


class CarveMix(PastingMethod):
    """Pastes the regions around donors' lesions; learns nothing."""

    hosts = ("real",)
    quick = True
    config: CarveMixConfig

    def edit_site(self, site: Site, rng: np.random.Generator) -> Edited:
        """Carve every donor's lesion and paste it."""
        image, label = site.image.clone(), site.label.clone()
        region = torch.zeros_like(site.organ)
        thresholds = []
        for donor in site.donors:
            lesion = (donor.tumour > 0) & site.organ
            box, mask, threshold = carve(lesion.numpy(), site.spacing, rng, self.config)
            thresholds.append(threshold)
            inside = torch.from_numpy(mask) & site.organ[box] & donor.organ[box]
            donor.paste(image, label, box, inside)
            region[box] |= inside
        return Edited(image, label, max(0.0, *thresholds), region, {"lambda_mm": thresholds})


def carve(
    lesion: np.ndarray,
    spacing: Sequence[float],
    rng: np.random.Generator,
    config: CarveMixConfig = CarveMixConfig(),
) -> tuple[Box, np.ndarray, float]:
    """Draw lambda; return a box, the region phi < lambda in it, and lambda in mm.

    Distances are computed in a box that holds the whole region, and are the same there as in the whole volume.
    """
    core = box_around(lesion, [1, 1, 1])
    depth = np.asarray(distance_transform_edt(lesion[core], sampling=spacing))
    deepest = depth.max()
    drawn = (rng.beta(1, 1) - 0.5) * 2  # Beta(1, 1) is uniform
    if drawn > 0:
        threshold = -drawn * (deepest * config.inward)
        return core, (depth > -threshold) & lesion[core], float(threshold)
    threshold = -drawn * (deepest * config.outward)
    around = box_around(lesion, [int(threshold / size) + 1 for size in spacing])
    distance = np.asarray(distance_transform_edt(~lesion[around], sampling=spacing))
    return around, (distance < threshold) | lesion[around], float(threshold)


METHOD = CarveMix
PRESETS = {"paper": CarveMixConfig(), "default": CarveMixConfig()}
PASTES = ("copy", "edge")  # a pasted region is its donor's over again, and ends where it was cut
CHECKED = {"paper": CheckConfig(rejects=False, exempt=PASTES), "default": CheckConfig(exempt=PASTES)}
