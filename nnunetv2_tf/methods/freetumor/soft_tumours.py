"""Where and how softly a tumour is put in. In: a site. Out: the soft map m, and texture around it."""

from dataclasses import dataclass

import numpy as np

from nnunetv2_tf.geometry.boxes import Box, box_around, shape_of, widened
from nnunetv2_tf.geometry.separable import radius
from nnunetv2_tf.methods.base import Site
from nnunetv2_tf.tumours.soft_map import shares_of
from nnunetv2_tf.tumours.texture import texture


@dataclass(frozen=True)
class SoftTumour:
    """A tumour map with a soft edge."""

    soft: np.ndarray  # (Z, Y, X) float32 from 0 to 1, 0 outside the organ
    texture: np.ndarray  # (Z, Y, X) float32 from 0 to 1, 0 outside the box
    box: Box  # beyond which the map is 0
    edge_mm: float  # standard deviation

    @classmethod
    def draw(cls, site: Site, edge_mm: tuple[float, float], rng: np.random.Generator) -> "SoftTumour":
        """Draw the softness and the texture of a site's tumour."""
        tumour, organ = site.tumour.numpy() > 0, site.organ.numpy()
        edge = rng.uniform(*edge_mm)
        sigma = (edge / np.array(site.spacing)).tolist()
        box = widened(box_around(tumour), [radius(width) for width in sigma], tumour.shape)
        soft, grain = (np.zeros(tumour.shape, np.float32) for _ in range(2))
        soft[box] = shares_of(tumour[box], (True,), organ[box], sigma)[0].clip(0, 1)
        grain[box] = texture(shape_of(box), site.spacing, rng)
        return cls(soft, grain, box, edge)
