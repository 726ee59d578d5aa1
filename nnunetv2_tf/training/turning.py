"""Augmentation of patches: mirrored, and now and then turned and scaled. In and out: volumes (C, Z, Y, X) of one patch.

What is real and what is not go through the same, each by a draw of its own from the same distribution: whatever only
one of them has been through (above all, interpolation) would give it away.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from nnunetv2_tf.training.speed import onto

TURNED = 0.5  # of patches
DEGREES, SCALES = 15.0, (0.9, 1.1)
THICK = 3.0  # times as thick as voxels are wide


@dataclass(frozen=True)
class Turn:
    """How all volumes of a patch are changed."""

    mirrored: tuple[int, ...]  # axes of (C, Z, Y, X)
    matrix: np.ndarray | None  # (3, 3), where in the patch a voxel comes from, in mm from its middle (z, y, x)

    @classmethod
    def drawn(cls, rng: np.random.Generator, spacing: Sequence[float]) -> "Turn":
        """A new one. Slices are not mixed where they are thick: nnU-Net turns in their plane only, too."""
        mirrored = tuple(axis for axis in (1, 2, 3) if rng.random() < 0.5)
        turned, angles = rng.random() < TURNED, np.deg2rad(rng.uniform(-DEGREES, DEGREES, 3))
        scales = np.full(3, rng.uniform(*SCALES))
        if max(spacing) >= THICK * min(spacing):
            thick = np.arange(3) == np.argmax(spacing)
            angles, scales = np.where(thick, angles, 0.0), np.where(thick, 1.0, scales)
        return cls(mirrored, _rotation(angles) / scales[:, None] if turned else None)

    def of(self, volume: Tensor, spacing: tuple[float, float, float], nearest: bool = False) -> Tensor:
        """The volume, changed; 0 beyond its edges.

        Args:
            volume: (C, Z, Y, X)
            spacing: in mm
            nearest: take the nearest voxel's value, else interpolate linearly
        """
        if self.mirrored:
            volume = torch.flip(volume, self.mirrored)
        if self.matrix is None:
            return volume
        extent = np.array(volume.shape[1:]) * spacing / 2  # grid_sample counts from -1 to 1
        own = (self.matrix * extent[None, :] / extent[:, None])[::-1, ::-1]  # x comes first there
        theta = onto(torch.from_numpy(np.pad(own, [(0, 0), (0, 1)])).to(volume.dtype), volume.device)
        grid = affine_grid(theta[None], [1, *volume.shape], align_corners=False)
        return grid_sample(volume[None], grid, mode="nearest" if nearest else "bilinear", align_corners=False)[0]


def _rotation(angles: np.ndarray) -> np.ndarray:
    """About z, then y, then x, for vectors (z, y, x)."""
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        one, other = sorted({0, 1, 2} - {axis})
        turn = np.eye(3)
        turn[[one, other], [one, other]] = np.cos(angle)
        turn[one, other], turn[other, one] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix
