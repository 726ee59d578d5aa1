"""A tumour under its transform. In: a lesion, how it is transformed, and a grid. Out: its map on a box of that grid.

Whatever else belongs to the lesion's box, its image above all, goes the same way.

In the common space a point p of the lesion goes to c + shift + R S (p' - c), with p' and the centre c mirrored at the
midline where the tumour is flipped, S the scale and R the rotation. An elastic tumour is besides pulled here and there
by a smooth field, whose strength and wavelength go with the size of the tumour.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.interpolate import BSpline
from scipy.ndimage import map_coordinates

from nnunetv2_tf.geometry.boxes import Box, overlap, shape_of, starting_at
from nnunetv2_tf.geometry.resampling import resample, resample_label
from nnunetv2_tf.geometry.rotation import rotation
from nnunetv2_tf.tumours.bank import Lesion
from nnunetv2_tf.tumours.recipe import DonorTumour

PULL, WAVELENGTH = 0.07, 0.7  # of the tumour's radius: standard deviation of the field, distance of its knots
WIDEST = 4.0  # standard deviations that the field is limited to
UNLIKE = -1  # no label: a voxel's neighbours have another one
SMOOTHED = 0.479**1.5  # standard deviation of a sum of cubic B-splines in three dimensions, of its knots'


@dataclass(frozen=True)
class WarpedTumour:
    """A donor's tumour map on a box of a grid; the box may stick out of the grid."""

    lesion: Lesion
    warp: "Warp"
    label: np.ndarray  # (Z, Y, X) int16

    def cut_to(self, shape: Sequence[int]) -> tuple[Box, np.ndarray]:
        """Return the part of a grid of a shape that the box lies on, and the map there."""
        there, here = overlap(self.warp.start, self.label.shape, shape)
        return there, self.label[here]


@dataclass(frozen=True)
class Warp:
    """How a box of a grid is filled from a lesion's box."""

    start: np.ndarray  # (3,) first voxel of the box
    shape: tuple[int, ...]
    back: np.ndarray  # 4x4, voxel of the box to voxel of the lesion's
    field: np.ndarray | None  # (3, Z, Y, X) displacements in voxels of the box

    def label(self, label: np.ndarray) -> np.ndarray:
        """Return (Z, Y, X) int16: labels of the lesion's box; 0 beyond it."""
        if self.field is None:
            return resample_label(label, self.back, self.shape)
        return _sampled_label(label, self._source_coordinates)

    def seen(self, image: np.ndarray, mask: np.ndarray, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what some voxels see of the lesion's box; 0 and False elsewhere.

        Args:
            image: (C, Z, Y, X) of the lesion's box; linearly interpolated, undefined beyond it
            mask: (Z, Y, X) bool of the same; the nearest voxel's, nothing beyond
            where: (Z, Y, X) bool
        """
        if self.field is None:
            whole = np.stack([resample(channel, self.back, self.shape, 1, 0.0) for channel in image])
            return whole * where, resample(mask, self.back, self.shape, 0, False) & where
        voxels = np.flatnonzero(where)
        places = self._source_coordinates.reshape(3, -1)[:, voxels]
        seen, inside = np.zeros((len(image), *self.shape), np.float32), np.zeros(self.shape, bool)
        for channel, target in zip(image, seen, strict=True):
            target.ravel()[voxels] = map_coordinates(channel, places, order=1, mode="nearest")
        inside.ravel()[voxels] = _looked_up(mask, places, 0.5)
        return seen, inside

    @cached_property
    def _source_coordinates(self) -> np.ndarray:
        """(3, Z, Y, X) float32: where in the lesion's box each voxel looks."""
        assert self.field is not None
        matrix = self.back[:3, :3].astype(np.float32)
        places = (matrix @ self.field.reshape(3, -1)).reshape(self.field.shape)
        z, y, x = (np.arange(size, dtype=np.float32) for size in self.shape)
        for along, row, first in zip(places, matrix, self.back[:3, 3].astype(np.float32), strict=True):
            along += (first + row[0] * z)[:, None, None]
            along += row[1] * y[:, None] + row[2] * x
        return places


def forward(tumour: DonorTumour, lesion: Lesion, midline: float) -> np.ndarray:
    """Return the transform without its elastic part, 4x4, mm to mm of the common space."""
    mirror = np.eye(4)
    if tumour.flip:
        mirror[0, 0], mirror[0, 3] = -1.0, 2 * midline
    centre = mirror[:3, :3] @ lesion.centre + mirror[:3, 3]
    turn = rotation(tumour.rotation) @ np.diag(tumour.scale[::-1])
    matrix = np.eye(4)
    matrix[:3, :3] = turn
    matrix[:3, 3] = centre + tumour.shift[::-1] - turn @ centre
    return matrix @ mirror


def warp_tumour(tumour: DonorTumour, lesion: Lesion, midline: float, grid: np.ndarray) -> WarpedTumour:
    """Warp a donor's tumour onto a grid, given as 4x4, voxel (Z, Y, X) to mm (x, y, z) of the common space."""
    warp = warp_to_grid(tumour, lesion, midline, grid)
    return WarpedTumour(lesion, warp, warp.label(lesion.label))


def warp_to_grid(tumour: DonorTumour, lesion: Lesion, midline: float, grid: np.ndarray) -> Warp:
    """Return the way of a tumour to a grid, as `warp_tumour` takes it."""
    way = np.linalg.inv(grid) @ forward(tumour, lesion, midline) @ lesion.affine  # voxel of the lesion to voxel there
    spacing = np.linalg.norm(grid[:3, :3], axis=0)
    radius = radius_of(lesion.volume * float(np.prod(tumour.scale)))
    margin = np.zeros(3) if tumour.elastic_seed is None else WIDEST * PULL * radius / spacing
    start, shape = _box_around(way, _corners(lesion.label.shape), margin)
    field = None
    if tumour.elastic_seed is not None:
        whole, first = shape, start
        start, shape = _box_around(way, lesion.outline, margin + np.abs(way[:3, :3]).sum(axis=1))  # and a voxel more
        part, _ = overlap(start - first, shape.tolist(), whole.tolist())
        start, shape = first + [cut.start for cut in part], np.array(shape_of(part))
        field = _field(whole, part, spacing, radius, np.random.default_rng(tumour.elastic_seed))
    back = starting_at(np.linalg.inv(way), start)
    return Warp(start, tuple(shape.tolist()), back, field)


def _corners(shape: Sequence[int]) -> np.ndarray:
    """Return (8, 3): the corners of a lesion's box and a voxel more."""
    ends = np.array([[-1.0] * 3, np.array(shape, float)])
    return np.array(np.meshgrid(*ends.T, indexing="ij")).reshape(3, -1).T


def _box_around(way: np.ndarray, points: np.ndarray, margin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return first voxel and shape of the box around points (n, 3) that go a way, and a margin in voxels."""
    places = way[:3, :3] @ points.T + way[:3, 3:]
    start = np.floor(places.min(axis=1) - margin).astype(int)
    return start, np.ceil(places.max(axis=1) + margin).astype(int) - start + 1


def radius_of(millilitres: float) -> float:
    """Return the radius in mm of a ball."""
    return float((3 * millilitres * 1000 / (4 * np.pi)) ** (1 / 3))


def _field(shape: np.ndarray, box: Box, spacing: np.ndarray, radius: float, rng: np.random.Generator) -> np.ndarray:
    """(3, *box) float32, displacements in voxels: cubic B-splines over random knots, which a whole shape has."""
    waves = np.maximum(WAVELENGTH * radius, 2 * spacing)
    bases = [_basis(int(size), step, wave) for size, step, wave in zip(shape, spacing, waves, strict=True)]
    knots = rng.normal(size=(3, *(basis.shape[1] for basis in bases))) * PULL * radius / SMOOTHED
    z, y, x = (basis[part].astype(np.float32) for basis, part in zip(bases, box, strict=True))
    field = y @ (knots.astype(np.float32) @ x.T)
    field = (z @ field.reshape(3, z.shape[1], -1)).reshape(3, *(len(basis) for basis in (z, y, x)))
    limit = WIDEST * PULL * radius
    np.clip(field, -limit, limit, out=field)
    return field / spacing[:, None, None, None].astype(np.float32)


def _basis(size: int, step: float, wavelength: float) -> np.ndarray:
    """(size, knots): cubic B-splines at voxels `step` mm apart."""
    places = np.arange(size) * step / wavelength
    number = int(np.ceil(places[-1])) + 4
    return np.asarray(BSpline.design_matrix(places + 3, np.arange(number + 4), 3).todense())


def _sampled_label(label: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Sample a label map at places (3, Z, Y, X) between voxels, linearly interpolated, as `resample_label` decides."""
    sampled = _looked_up(_alike(np.pad(label, 1)), places, 1.0)
    between = sampled == UNLIKE
    there = places[:, between]
    values = np.unique(label[label > 0])
    shares = np.stack(
        [map_coordinates((label == value).astype(np.float32), there, order=1, mode="constant") for value in values]
    )
    sampled[between] = np.where(shares.sum(axis=0) > 0.5, values[shares.argmax(axis=0)], 0)
    return sampled


def _alike(label: np.ndarray) -> np.ndarray:
    """Return what each voxel and its seven neighbours towards the end of all axes are, UNLIKE where they differ."""
    low = high = label
    for axis in range(3):
        first = (slice(None),) * axis
        here, there = (*first, slice(None, -1)), (*first, slice(1, None))
        low, high = np.minimum(low[here], low[there]), np.maximum(high[here], high[there])
    return np.where(low == high, low, UNLIKE).astype(label.dtype)


def _looked_up(volume: np.ndarray, places: np.ndarray, offset: float) -> np.ndarray:
    """Return a volume's values at the whole part of places (3, ...) float32 plus an offset; 0 beyond its edges."""
    index, inside = np.zeros(places.shape[1:], np.int32), np.ones(places.shape[1:], bool)
    for place, size in zip(places, volume.shape, strict=True):
        along = place + np.float32(offset)
        inside &= (along >= 0) & (along < size)
        index *= size
        index += along.astype(np.int32)
    return volume.ravel().take(index, mode="clip") * inside
