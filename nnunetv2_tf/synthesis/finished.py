"""A finished case as nnU-Net will see it. In: a site and its edit. Out: image, label and tumour map in working space.

What `compose` writes and nnU-Net's preprocessor reads again, but for the interpolation to the scan's grid and back.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from nnunetv2_tf.baseline.encoder import renormalised
from nnunetv2_tf.methods.base import Edited, Site


@dataclass(frozen=True)
class Finished:
    """A synthetic case, in memory."""

    image: np.ndarray  # (C, Z, Y, X), normalised anew
    label: np.ndarray  # (Z, Y, X)
    tumour: np.ndarray  # (Z, Y, X) the map of what was put in: without a tumour that the host had before

    @classmethod
    def of(cls, site: Site, edited: Edited, tumour_values: Sequence[int], z_scored: Sequence[bool]) -> "Finished":
        """Lay an edit over its site.

        Args:
            site: a whole case
            edited: what a method made of it
            tumour_values: label values that are tumour
            z_scored: by channel, whether nnU-Net z-scores it
        """
        share = site.weight(edited.reach_mm)
        if edited.region is not None:
            share = site.organ.to(torch.float32) * edited.region
        image = site.image + share * (edited.image - site.image)
        image = renormalised(image[None], site.image[None], [site.n_norm], site.body[None], z_scored)[0].numpy()
        label = torch.where(share > 0, edited.label, site.label).numpy()
        placed = (site.tumour > 0) if edited.region is None else edited.region
        tumour = np.where(placed.numpy() & np.isin(label, tumour_values), label, 0).astype(np.int16)
        return cls(image, label, tumour)
