"""Boxes of voxels. In: masks, boxes and shapes. Out: boxes, and the parts of volumes that they hold.

A box is one slice per axis (Z, Y, X); a grid is an affine, 4x4, from voxels (Z, Y, X) to any space.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.ndimage import label

Box = tuple[slice, ...]


def box_from(start: Sequence[int] | np.ndarray, stop: Sequence[int] | np.ndarray) -> Box:
    """Return the box from its first voxel to one past its last."""
    return tuple(slice(int(first), int(last)) for first, last in zip(start, stop, strict=True))


def box_around(mask: np.ndarray, margin: Sequence[int] = (0, 0, 0)) -> Box:
    """Return the box around a mask (Z, Y, X) of bool, not empty, with a margin as far as the volume goes."""
    low, high = _ends(np.any(mask, axis=(1, 2)))
    face = np.any(mask[low:high], axis=0)
    box = (slice(low, high), slice(*_ends(np.any(face, axis=1))), slice(*_ends(np.any(face, axis=0))))
    return widened(box, margin, mask.shape)


def fullest_slice(mask: Any) -> int:
    """Return the Z of the slice that holds most of a mask (Z, Y, X), an array or a tensor."""
    return int(mask.sum(axis=(1, 2)).argmax())


def _ends(line: Any) -> tuple[int, int]:
    """Return the first True of a line, and one past the last."""
    places = np.flatnonzero(line)
    return int(places[0]), int(places[-1]) + 1


def widened(box: Box, margin: Sequence[int], shape: Sequence[int]) -> Box:
    """Return a box with a margin on all sides, as far as a volume of this shape goes."""
    return tuple(
        slice(max(0, part.start - more), min(size, part.stop + more))
        for part, more, size in zip(box, margin, shape, strict=True)
    )


def bounds(mask: np.ndarray) -> np.ndarray:
    """Return (2, 3): the first voxel of the box around a mask, and one past its last."""
    box = box_around(mask)
    return np.array([[part.start for part in box], [part.stop for part in box]])


def shape_of(box: Box) -> tuple[int, ...]:
    """Return how many voxels a box has along each axis."""
    return tuple(part.stop - part.start for part in box)


def within(box: Box, outer: Box) -> Box:
    """Return a box in the coordinates of a larger box that holds it."""
    return tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(box, outer, strict=True))


def union(boxes: Sequence[Box]) -> Box:
    """Return the smallest box that holds all of these."""
    return tuple(
        slice(min(part.start for part in parts), max(part.stop for part in parts)) for parts in zip(*boxes, strict=True)
    )


def overlap(start: np.ndarray | Sequence[int], size: Sequence[int], shape: Sequence[int]) -> tuple[Box, Box]:
    """Return the part of a volume of this shape that a box covers, and the same part in the box's coordinates."""
    first = np.asarray(start)
    low = np.minimum(np.maximum(first, 0), shape)
    high = np.maximum(np.minimum(first + size, shape), low)
    return box_from(low, high), box_from(low - first, high - first)


def centre_of(tumour: np.ndarray) -> np.ndarray:
    """Return (3,): the voxel in the middle of the box around the largest piece of a tumour map, which is not empty."""
    box = box_around(tumour > 0)
    found: Any = label(tumour[box] > 0, np.ones((3, 3, 3)))
    pieces = found[0]
    piece = box_around(pieces == np.bincount(pieces[pieces > 0]).argmax())
    return np.array([whole.start + (part.start + part.stop) // 2 for whole, part in zip(box, piece, strict=True)])


def cut(volume: np.ndarray, centre: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Return the part (..., z, y, x) of a volume (..., Z, Y, X) around a voxel; 0 beyond its edges.

    Near an edge the part is shifted, so that it holds as much of the volume as fits into it.
    """
    whole = np.array(volume.shape[-3:])
    start = np.clip(np.asarray(centre) - np.array(size) // 2, np.minimum(0, whole - size), np.maximum(0, whole - size))
    in_volume, in_part = overlap(start, size, whole.tolist())
    part = np.zeros((*volume.shape[:-3], *size), volume.dtype)
    part[(..., *in_part)] = volume[(..., *in_volume)]
    return part


def reached_by_cuts(
    shape: Sequence[int], centre: np.ndarray, size: Sequence[int], jitter: np.ndarray
) -> Box:  # fmt: skip
    """Return the box of a volume of this shape outside of which no `cut` of a size around a voxel reads.

    Cuts from that box are those from the volume, also where they are shifted at its edge.

    Args:
        shape: (3,)
        centre: (3,) voxel
        size: of the cuts
        jitter: (3,) voxels by which their middle differs from the centre at the most
    """
    whole, first = np.array(shape), centre - np.array(size) // 2
    low = np.clip(first - jitter, 0, np.maximum(whole - size, 0))
    return box_from(low, np.clip(first + jitter + size, np.minimum(size, whole), whole))


def starting_at(grid: np.ndarray, start: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return the grid (4, 4) of the part of a volume that begins at a voxel."""
    moved = grid.copy()
    moved[:3, 3] += grid[:3, :3] @ np.asarray(start)
    return moved
