"""CutMix (Yun et al. 2019) in three dimensions: a box of another patient replaces the same box here, label and all.

The box takes a uniformly drawn share of the organ's bounding box, in its proportions, about a voxel drawn in that, and
is cut off at its sides. `default` draws the voxel in the donor's tumour, so that no case is without.
"""

from dataclasses import dataclass

import numpy as np
import torch

from nnunetv2_tf.geometry.boxes import Box, box_around, box_from, shape_of
from nnunetv2_tf.methods.base import CheckConfig, Edited, PastingMethod, Site


@dataclass(frozen=True)
class CutMixConfig:
    """Where boxes lie."""

    at_tumours: bool = True  # about a voxel of the donor's tumour; else about any


class CutMix(PastingMethod):
    """Pastes boxes of donors; learns nothing."""

    hosts = ("real",)
    quick = True
    config: CutMixConfig

    def edit_site(self, site: Site, rng: np.random.Generator) -> Edited:
        """Cut a box of every donor and paste it."""
        image, label, region = site.image.clone(), site.label.clone(), torch.zeros_like(site.organ)
        whole, shares = box_around(site.organ.numpy()), []
        for donor in site.donors:
            inside = site.organ & donor.organ
            share, tumour = float(rng.random()), (inside & (donor.tumour > 0)).numpy()
            about = tumour if self.config.at_tumours and tumour.any() else None
            box = box_of_share(whole, share, drawn_voxel(whole, about, rng))
            donor.paste(image, label, box, inside[box])
            region[box] |= inside[box]
            shares.append(round(share, 4))
        return Edited(image, label, None, region, {"share": shares})


def drawn_voxel(box: Box, mask: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """Return (3,) a voxel of a mask (Z, Y, X), or of a box where there is no mask; all are as likely."""
    if mask is None:
        return np.array([rng.integers(part.start, part.stop) for part in box])
    places = np.argwhere(mask)
    return places[rng.integers(len(places))]


def box_of_share(whole: Box, share: float, centre: np.ndarray) -> Box:
    """Return a box about a voxel with a share of another box's volume, in its proportions, cut off at its sides."""
    sides = np.maximum(np.rint(np.array(shape_of(whole)) * share ** (1 / 3)).astype(int), 1)
    low = centre - sides // 2
    first, end = (np.array([getattr(part, name) for part in whole]) for name in ("start", "stop"))
    return box_from(np.maximum(low, first), np.minimum(low + sides, end))


METHOD = CutMix
PRESETS = {"paper": CutMixConfig(at_tumours=False), "default": CutMixConfig()}
PASTES = ("copy", "edge")  # a pasted box is its donor's over again, and ends where it was cut
CHECKED = {"paper": CheckConfig(rejects=False, exempt=PASTES), "default": CheckConfig(exempt=PASTES)}
