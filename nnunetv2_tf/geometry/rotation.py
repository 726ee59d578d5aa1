"""Rotations of points. In: angles. Out: matrices."""

from collections.abc import Sequence

import numpy as np


def rotation(degrees: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the matrix (3, 3) that turns vectors (x, y, z) about Z, then Y, then X, by degrees given as (Z, Y, X)."""
    (cz, cy, cx), (sz, sy, sx) = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    return about_x @ about_y @ about_z
