"""What tumours take over from their donors. In: a site with its donors. Out: texture, and how bright classes are.

Donors lie on the site's grid, under their tumours' transforms, but a placed map may differ from a donor's: it was cut,
rounded, put together from two, or spread anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnunetv2_tf.geometry.boxes import Box
from nnunetv2_tf.geometry.separable import smoothed
from nnunetv2_tf.methods.base import Donor, Site
from nnunetv2_tf.working_space.blurring import blur

FILL = 2.0  # mm, standard deviation: texture goes on so far where the map is larger than the donor's tumour
FEWEST = 10  # voxels of a class, in the donors or the map, for its brightness to count
OWN = 0.5  # of a class's voxels, below which it would have to be far brighter in its middle to make up for its edges


def texture(image: np.ndarray, tumour: np.ndarray, sigma: Sequence[float]) -> np.ndarray:
    """Return (C, Z, Y, X) float32: how much lighter or darker a tumour is than its class's mean; 0 elsewhere.

    Args:
        image: (C, Z, Y, X)
        tumour: (Z, Y, X) the map, on the same grid
        sigma: standard deviation in voxels, by axis, of a blur; 0: none
    """
    differs = np.zeros(image.shape, np.float32)
    for value in np.unique(tumour[tumour > 0]):
        voxels = np.flatnonzero(tumour == value)
        values = _at(image, voxels)
        differs.reshape(len(image), -1)[:, voxels] = values - values.mean(axis=1, keepdims=True)
    return np.where(tumour > 0, blur(differs, tumour > 0, sigma), 0) if any(sigma) else differs


def donors_texture(site: Site, box: Box, sigma: Sequence[float]) -> np.ndarray:
    """Return (C, Z, Y, X) float32: the donors' texture in a box of the site.

    Where two donors overlap, the first whose class was placed there counts, else the first. Where the map is larger
    than their tumours, what is near goes on, fading.

    Args:
        site: whose donors are asked
        box: of the site
        sigma: as of `texture`
    """
    placed = site.tumour.numpy()[box]
    whole = np.zeros(site.image[(slice(None), *box)].shape, np.float32)
    known = np.zeros(placed.shape, bool)
    found = []
    for donor in site.donors:
        tumour = _tumour(donor, box)
        if tumour.any():
            found.append((tumour, texture(donor.image[(slice(None), *box)].numpy(), tumour, sigma)))
    for alike in (True, False):
        for tumour, of_donor in found:
            here = ~known & (tumour > 0) & ((tumour == placed) if alike else True)
            np.copyto(whole, of_donor, where=here)
            known |= here
    return _filled(whole, known, (placed > 0) & ~known, site.spacing)


@dataclass(frozen=True)
class Terms:
    """The terms of Eq. 1 in a box of a site."""

    x_h: np.ndarray  # (C, Z, Y, X)
    blurred: np.ndarray  # (C, Z, Y, X) B(x_h)
    shares: np.ndarray  # (K, Z, Y, X)
    detail: np.ndarray  # (C, Z, Y, X) what is added to I(B(x_h))


def anchors(site: Site, box: Box, classes: Sequence[int], terms: Terms, through_edges: bool) -> np.ndarray:
    """Return (K, C, 3 + 2 K) float32: by class and channel what its brightness is to be, and what that depends on.

    First the mean of B(x_h) in the class, and what I of it is to be. Then, for classes of whose voxels at least
    OWN is their own, what b has to come to so that the mean of the finished class is its donors', soft edges and all:
    less than that, the part of the host and of detail; and the mean shares of all classes in its voxels, by themselves
    and times B(x_h). All nan for a class that the donors, or the map, have too little of.

    Args:
        site: whose donors are asked
        box: of the site, around its tumour
        classes: values of the map, K of them
        terms: of Eq. 1 in the box
        through_edges: whether soft edges are to be made up for
    """
    placed = site.tumour.numpy()[box]
    result = no_anchors(len(classes), len(terms.x_h))
    tumours = [(_tumour(donor, box), donor.image[(slice(None), *box)].numpy()) for donor in site.donors]
    inside = terms.shares.sum(axis=0)
    beside = terms.x_h * (1 - inside) + inside * terms.detail
    for index, value in enumerate(classes):
        here = np.flatnonzero(placed == value)
        there = [_at(image, np.flatnonzero(tumour == value)) for tumour, image in tumours]
        if len(here) < FEWEST or sum(values.shape[1] for values in there) < FEWEST:
            continue
        wanted = np.concatenate(there, axis=1).mean(axis=1)
        blurred, shares = _at(terms.blurred, here), _at(terms.shares, here)
        result[index, :, 0] = blurred.mean(axis=1)
        result[index, :, 1] = wanted - _at(terms.detail, here).mean(axis=1)
        if through_edges and shares[index].mean() >= OWN:
            result[index, :, 2] = wanted - _at(beside, here).mean(axis=1)
        result[index, :, 3:] = np.concatenate(
            [np.broadcast_to(shares.mean(axis=1), (len(blurred), len(classes))), blurred @ shares.T / len(here)], axis=1
        )
    return result


def no_anchors(classes: int, channels: int) -> np.ndarray:
    """Return anchors by which nothing is asked."""
    return np.full((classes, channels, 3 + 2 * classes), np.nan, np.float32)


def _at(image: np.ndarray, voxels: np.ndarray) -> np.ndarray:
    """Return (C, n): an image's values at voxels, which are numbered; several times as fast as by a mask."""
    return np.ascontiguousarray(image).reshape(len(image), -1)[:, voxels]


def _tumour(donor: Donor, box: Box) -> np.ndarray:
    """Return the donor's tumour in a box, where its image means something."""
    return np.where(donor.organ.numpy()[box], donor.tumour.numpy()[box], 0)


def _filled(values: np.ndarray, known: np.ndarray, lacking: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Return values (C, Z, Y, X), and where they are lacking means of known ones near by."""
    if not (lacking.any() and known.any()):
        return values
    sigma = [FILL / step for step in spacing]
    weight = np.maximum(smoothed(known, sigma), 1e-3)
    near = np.stack([smoothed(channel * known, sigma) for channel in values]) / weight
    return np.where(lacking, near, values)
