"""SynTumor (Hu et al. 2023): tumours made by hand, without any labelled one. Ellipsoids, filtered noise, soft edges.

Shapes come from `tumours.shapes` and are bent and placed as recipes say. In each class the host's brightness is moved
to where a training case has it, by more in some places than in others, as noise says that was filtered twice; the
host's detail stays. Where no training case has a tumour, classes are darker than the organ by what the settings say.

The paper's mass effect is a radial warp, `swell`. The default has the one that all methods with healthy hosts share.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.ndimage import map_coordinates

from nnunetv2_tf.geometry.boxes import box_around, box_from, shape_of, widened
from nnunetv2_tf.geometry.separable import radius
from nnunetv2_tf.methods.base import CheckConfig, Edited, PastingMethod, Site
from nnunetv2_tf.tumours.sampling_config import AS_PUBLISHED, USUAL
from nnunetv2_tf.tumours.shapes import ShapeConfig
from nnunetv2_tf.tumours.soft_map import shares_of
from nnunetv2_tf.tumours.texture import texture
from nnunetv2_tf.tumours.warp import radius_of

Span = tuple[float, float]  # least and most
SWOLLEN = 1.3  # of a tumour's radius: as far as the warp reaches


@dataclass(frozen=True)
class SynTumorConfig:
    """How shapes are painted."""

    edge_mm: Span = (1.0, 2.0)  # standard deviation of the soft edge
    darker: Span = (0.4, 1.2)  # z below the organ's mean, where no training case says how bright a class is
    swell: float = 0.0  # strength of the radial warp, below 1; 0: none


class SynTumor(PastingMethod):
    """Paints handcrafted tumours; learns nothing."""

    hosts = ("healthy",)
    quick = True
    config: SynTumorConfig

    def edit_site(self, site: Site, rng: np.random.Generator) -> Edited:
        """Paint the placed shapes."""
        tumour, organ, spacing = site.tumour.numpy(), site.organ.numpy(), np.array(site.spacing)
        image = site.image.numpy().copy()
        if self.config.swell:
            image = swollen(image, tumour > 0, organ, site.spacing, self.config.swell)
        before = image.copy()
        edge = rng.uniform(*self.config.edge_mm)
        sigma = (edge / spacing).tolist()
        box = widened(box_around(tumour > 0), [radius(width) for width in sigma], tumour.shape)
        here, noise = (slice(None), *box), texture(shape_of(box), site.spacing, rng)
        values = np.unique(tumour[tumour > 0]).tolist()
        shares = shares_of(tumour[box], values, organ[box], sigma)
        for value, share in zip(values, shares, strict=True):
            inside = tumour[box] == value
            wanted = self._wanted(site, value, rng)
            step = wanted - before[here][:, inside].mean(axis=1)
            image[here] += step[:, None, None, None] * share * noise / noise[inside].mean()
        label = torch.where(site.tumour > 0, site.tumour, site.label)
        reach = None if self.config.swell else self.reach_mm
        return Edited(torch.from_numpy(image), label, reach, controls={"edge_mm": round(edge, 4)})

    def _wanted(self, site: Site, value: int, rng: np.random.Generator) -> np.ndarray:
        """Return (C,) how bright a class is to be."""
        for donor in site.donors:
            there = (donor.tumour == value) & donor.organ
            if there.any():
                return donor.image[:, there].mean(dim=1).numpy()
        return (site.image[:, site.organ].mean(dim=1) - rng.uniform(*self.config.darker)).numpy()


def swollen(
    image: np.ndarray, tumour: np.ndarray, organ: np.ndarray, spacing: Sequence[float], strength: float
) -> np.ndarray:
    """Return an image (C, Z, Y, X) in which tissue was pushed away from a tumour's centre, within the organ.

    What is now at p was at c + (p - c) (1 - strength (1 - |p - c|^2 / R^2)), where |p - c| < R, 1.3 times the radius of
    a ball of its volume.

    Args:
        image: (C, Z, Y, X)
        tumour: (Z, Y, X) bool
        organ: (Z, Y, X) bool
        spacing: mm between voxels (Z, Y, X)
        strength: below 1
    """
    step = np.array(spacing)
    reach = SWOLLEN * radius_of(float(tumour.sum() * np.prod(step)) / 1000)
    centre = np.argwhere(tumour).mean(axis=0)
    middle = np.rint(centre).astype(int)
    box = widened(box_from(middle, middle + 1), np.ceil(reach / step + 1).astype(int).tolist(), tumour.shape)
    places = np.stack(np.meshgrid(*(np.arange(part.start, part.stop) for part in box), indexing="ij")).astype(float)
    away = places - centre[:, None, None, None]
    squared = ((away * step[:, None, None, None]) ** 2).sum(axis=0) / reach**2
    source = places - away * strength * np.maximum(1 - squared, 0)
    nearest = tuple(np.rint(source).astype(int))
    moved = organ[box] & (squared < 1) & organ[nearest]
    result = image.copy()
    for channel, target in zip(image, result, strict=True):
        target[box][moved] = map_coordinates(channel, source[:, moved], order=1)
    return result


METHOD = SynTumor
PRESETS = {"paper": SynTumorConfig(swell=0.3), "default": SynTumorConfig()}
SAMPLING = {"paper": replace(AS_PUBLISHED, elastic=True, combine=0.0), "default": USUAL}
SHAPES = {"paper": ShapeConfig(like_cohort=False), "default": ShapeConfig()}
CHECKED = {"paper": CheckConfig(rejects=False)}
