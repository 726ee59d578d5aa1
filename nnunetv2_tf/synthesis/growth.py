"""What a tumour does to its host before any method paints it. In: a site with a placed tumour. Out: the site, grown.

It pushes the tissue around it aside, edema (classes that are diffuse) spreads from the cores anew, and the map's
surfaces are rounded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from nnunetv2_tf.geometry.blocks import Blocks
from nnunetv2_tf.geometry.boxes import box_around
from nnunetv2_tf.geometry.displacement import Displacement
from nnunetv2_tf.geometry.grid import sideways_axis
from nnunetv2_tf.tumours.bank import Bank
from nnunetv2_tf.tumours.edema import edema_front
from nnunetv2_tf.tumours.fluid import wide
from nnunetv2_tf.tumours.mass_effect import FLOW_GRID, mass_effect
from nnunetv2_tf.tumours.place import HostAnatomy
from nnunetv2_tf.tumours.rounding import closed, rounded
from nnunetv2_tf.tumours.sampling_config import SamplingConfig
from nnunetv2_tf.tumours.tissue import white_share
from nnunetv2_tf.working_space.site import Site

GROWING = 3  # counts up when the same tumour comes to grow in another way
NEAR = 12.0  # mm around a tumour, as far as rounding may look
ALIKE = 0.85  # Dice of an organ and its mirror image: one that has two halves, and something between them


@dataclass(frozen=True)
class Grown:
    """A site as its tumour left it."""

    site: Site
    displacement: Displacement | None  # None: nothing moved
    record: Mapping[str, Any]  # for the sidecar


def grow(
    site: Site,
    anatomy: HostAnatomy,
    bank: Bank,
    config: SamplingConfig,
    strength: float,
) -> Grown:
    """Let the placed tumour grow in its host.

    Args:
        site: the whole host, looking as it is to look
        anatomy: the same host's
        bank: knows the midline, and which classes are diffuse
        config: what of this is done
        strength: of the mass effect; what is now in a core had exp(-strength) of its volume before
    """
    organ, fluid, tumour = site.organ.numpy(), anatomy.fluid, site.tumour.numpy()
    core, edema = _parts(tumour, bank.diffuse)
    displacement, record = None, {}
    if config.mass_effect and strength > 0:
        middle = off_the_middle(anatomy, bank.midline, site.spacing)
        displacement = mass_effect(core > 0, edema > 0, organ, fluid, site.spacing, strength, middle)
        site = replace(
            site,
            image=torch.from_numpy(displacement.moved(site.image.numpy(), 3)),
            label=torch.from_numpy(displacement.moved(site.label.numpy()[None], 0)[0]),
        )
        record = {"mass_effect": {"strength": strength, "largest_mm": round(displacement.largest, 2)}}
        fluid = None if fluid is None else displacement.moved(fluid[None], 0)[0]
    if config.front and core.any() and edema.any():
        white = white_share(site.image.numpy(), organ, fluid, anatomy.channels)
        allowed = organ if fluid is None else organ & ~fluid
        edema = edema_front(core > 0, edema, allowed & (core == 0), white, site.spacing)
    tumour = np.where(core > 0, core, edema)
    if config.rounded:
        tumour = _rounded(tumour, organ, fluid, bank.diffuse, site.spacing)
    return Grown(replace(site, tumour=torch.from_numpy(tumour)), displacement, record)


def _parts(tumour: np.ndarray, diffuse: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the map of what is not diffuse, and that of what is."""
    spreading = np.isin(tumour, diffuse)
    return np.where(spreading, 0, tumour), np.where(spreading, tumour, 0)


def _rounded(
    tumour: np.ndarray, organ: np.ndarray, fluid: np.ndarray | None, diffuse: Sequence[int], spacing: Sequence[float]
) -> np.ndarray:
    """Return the map with smooth surfaces, closed over narrow fluid; diffuse classes stay outside wide fluid."""
    if fluid is None or not (tumour > 0).any():
        return rounded(tumour, organ, spacing)
    near = box_around(tumour > 0, [int(NEAR / step) + 1 for step in spacing])
    part, inside, allowed, ventricles = tumour[near], organ[near], organ.copy(), wide(fluid[near], spacing)
    allowed[near] &= ~ventricles | ((part > 0) & ~np.isin(part, diffuse))
    whole = tumour.copy()
    whole[near] = closed(part, inside, fluid[near] & ~ventricles, diffuse, spacing)
    result = rounded(whole, allowed, spacing, as_large_as=tumour)
    return result if result.any() else tumour  # without room it stays as it was placed


def off_the_middle(anatomy: HostAnatomy, midline: float, spacing: Sequence[float]) -> np.ndarray | None:
    """Return mm to the sagittal plane in the middle, by blocks; None for an organ whose two sides are not alike."""
    blocks = Blocks.near(FLOW_GRID, spacing, anatomy.organ.shape)
    row = (anatomy.grid @ blocks.to_fine)[0]
    along = np.indices(blocks.shape)
    x = np.tensordot(row[:3], along, axes=1) + row[3]
    axis = sideways_axis(anatomy.grid @ blocks.to_fine)
    mirrored = np.rint(2 * (midline - row[3]) / row[axis] - along[axis] - 2 * _others(row, along, axis)).astype(int)
    organ = blocks.mean(anatomy.organ) > 0.5
    places = list(along)
    places[axis] = np.clip(mirrored, 0, blocks.shape[axis] - 1)
    other = organ[tuple(places)] & (mirrored >= 0) & (mirrored < blocks.shape[axis])
    dice = 2 * (organ & other).sum() / max(int(organ.sum() + other.sum()), 1)
    return np.abs(x - midline) if dice >= ALIKE else None


def _others(row: np.ndarray, along: np.ndarray, axis: int) -> np.ndarray:
    """Return what the other axes contribute to x, in steps of the one that goes from left to right."""
    rest = row[:3].copy()
    rest[axis] = 0
    return np.tensordot(rest, along, axes=1) / row[axis]
