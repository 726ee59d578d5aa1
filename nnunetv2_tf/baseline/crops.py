"""Boxes that the encoder sees. In: a tumour map. Out: a box around its middle, of one size for all cases."""

from collections.abc import Sequence

import numpy as np

MULTIPLE = 8  # residual encoders want sizes that their strides divide


def crop_size(patch: Sequence[int], multiple: int = MULTIPLE) -> tuple[int, ...]:
    """The plans' patch, rounded up to what every encoder takes."""
    return tuple(-(-int(size) // multiple) * multiple for size in patch)


def middle(tumour: np.ndarray) -> np.ndarray:
    """(3,) the voxel in the middle of the map's box."""
    places = np.argwhere(tumour > 0)
    return (places.min(axis=0) + places.max(axis=0) + 1) // 2


def cut(volume: np.ndarray, centre: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """The part (..., z, y, x) of a volume (..., Z, Y, X) around a voxel; 0 beyond its edges.

    Where the volume is as large as the part it is moved, not cut: nothing is lost that there is room for.
    """
    whole = np.array(volume.shape[-3:])
    start = np.clip(np.asarray(centre) - np.array(size) // 2, np.minimum(0, whole - size), np.maximum(0, whole - size))
    low, high = np.maximum(start, 0), np.minimum(start + size, whole)
    part = np.zeros((*volume.shape[:-3], *size), volume.dtype)
    there = tuple(slice(int(a), int(b)) for a, b in zip(low - start, high - start, strict=True))
    here = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    part[(..., *there)] = volume[(..., *here)]
    return part
