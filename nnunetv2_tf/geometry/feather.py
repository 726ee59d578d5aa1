"""Feathering of edits. In: a tumour map. Out: weights, 1 in the map, 0 from the reach on, half a cosine between."""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from nnunetv2_tf.geometry.boxes import box_around
from nnunetv2_tf.geometry.distances import distance_within

Array = TypeVar("Array", np.ndarray, Tensor)


def feather(distance: Array, reach_mm: float | None) -> Array:
    """Return the weight at a distance in mm from the tumour map: (1 + cos(pi * min(d / reach, 1))) / 2.

    Args:
        distance: in mm, of any shape
        reach_mm: above 0; None: the weight is 1 everywhere
    """
    functions: Any = torch if isinstance(distance, Tensor) else np
    if reach_mm is None:
        return functions.ones_like(distance)
    return (1 + functions.cos(np.pi * (distance / reach_mm).clip(max=1))) / 2


def feather_around(tumour: np.ndarray, reach_mm: float, spacing: Sequence[float]) -> np.ndarray:
    """Return (Z, Y, X) float32: the weights around a tumour map of bool; all 0 when the map is empty."""
    if not tumour.any():
        return np.zeros(tumour.shape, np.float32)
    if reach_mm <= 0:
        return tumour.astype(np.float32)
    near = box_around(tumour, [int(reach_mm / step) + 1 for step in spacing])
    weight = np.zeros(tumour.shape, np.float32)
    weight[near] = feather(distance_within(tumour[near], spacing, reach_mm), reach_mm)
    return weight


def signed_distance(mask: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Return (Z, Y, X) float32: mm to the surface of a mask of bool, below 0 within it."""
    outside, inside = (np.asarray(distance_transform_edt(part, sampling=spacing)) for part in (~mask, mask))
    return (outside - inside).astype(np.float32)


def distance_to(tumour: np.ndarray, spacing: Sequence[float], limit: float) -> np.ndarray:
    """Return (Z, Y, X) float32: the distance in mm to a tumour map; 0 in it, clipped at `limit`."""
    distance = np.full(tumour.shape, limit, np.float32)
    near = box_around(tumour > 0, [int(limit / step) + 1 for step in spacing])
    distance[near] = distance_within(tumour[near] > 0, spacing, limit)
    return distance
