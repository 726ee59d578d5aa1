"""Boxes around tumours. In: a mask or a map. Out: the box it is in, or one around its middle of one size for all."""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import find_objects

Box = tuple[slice, ...]

MULTIPLE = 8  # residual encoders want sizes that their strides divide


def crop_size(patch: Sequence[int], multiple: int = MULTIPLE) -> tuple[int, ...]:
    """The plans' patch, rounded up to what every encoder takes."""
    return tuple(-(-int(size) // multiple) * multiple for size in patch)


def box_around(mask: np.ndarray, margin: Sequence[int]) -> Box:
    """The box of a mask (Z, Y, X) of bool, widened as far as the volume goes."""
    found = find_objects(mask.view(np.uint8))[0]
    return tuple(
        slice(max(0, part.start - more), min(size, part.stop + more))
        for part, more, size in zip(found, margin, mask.shape, strict=True)
    )


def middle(tumour: np.ndarray) -> np.ndarray:
    """(3,) the voxel in the middle of the map's box."""
    return np.array([(part.start + part.stop) // 2 for part in box_around(tumour > 0, (0, 0, 0))])


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
