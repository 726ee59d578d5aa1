"""A finished case as nnU-Net will see it. In: a site and its edit. Out: image, label and tumour map in working space.

What `compose` writes and nnU-Net's preprocessor reads again, but for the interpolation to the scan's grid and back.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from nnunetv2_tf.baseline.encoder import renormalised
from nnunetv2_tf.geometry.feather import feather_around
from nnunetv2_tf.methods.base import Edited, Site
from nnunetv2_tf.synthesis.harmonise import Z_SCORED


@dataclass(frozen=True)
class Finished:
    """A synthetic case, in memory."""

    image: np.ndarray  # (C, Z, Y, X), normalised anew
    label: np.ndarray  # (Z, Y, X)
    tumour: np.ndarray  # (Z, Y, X) the map of what was put in: without a tumour that the host had before

    @classmethod
    def of(cls, site: Site, edited: Edited, tumour_values: Sequence[int], schemes: Sequence[str]) -> "Finished":
        """Lay an edit over its site.

        Args:
            site: a whole case
            edited: what a method made of it
            tumour_values: label values that are tumour
            schemes: nnU-Net's normalisation by channel
        """
        weight = _weight(site, edited)
        share = torch.from_numpy(weight)
        image = site.image + share * (edited.image - site.image)
        scored = [scheme == Z_SCORED for scheme in schemes]
        image = renormalised(image[None], site.image[None], [site.n_norm], site.body[None], scored)[0].numpy()
        label = torch.where(share > 0, edited.label, site.label).numpy()
        placed = (site.tumour > 0) if edited.region is None else edited.region
        tumour = np.where(placed.numpy() & np.isin(label, tumour_values), label, 0).astype(np.int16)
        return cls(image, label, tumour)


def _weight(site: Site, edited: Edited) -> np.ndarray:
    """Return (Z, Y, X): 1 in the region, or around the tumour as far as the reach, and only in the organ."""
    organ = site.organ.numpy().astype(np.float32)
    if edited.region is not None:
        return organ * edited.region.numpy()
    if edited.reach_mm is None:
        return organ
    return organ * feather_around(site.tumour.numpy() > 0, edited.reach_mm, site.spacing)
