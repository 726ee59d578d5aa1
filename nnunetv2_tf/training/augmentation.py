"""Random affine augmentation: mirroring, rotation and scaling. In and out: volumes (C, Z, Y, X) of one patch.

Real and fake patches are augmented by draws from the same distribution: if only one kind were interpolated, the
discriminator could tell them apart by that alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from nnunetv2_tf.geometry.rotation import rotation
from nnunetv2_tf.training.precision import to_device

TURNED = 0.5  # share of patches that are rotated and scaled
DEGREES, SCALES = 15.0, (0.9, 1.1)
HANDED = np.array([-1, 1, -1])  # signs of the angles about Z, Y, X
THICK = 3.0  # slices are thick when they are so many times as thick as voxels are wide


@dataclass(frozen=True)
class RandomAffine:
    """One draw of the augmentation, which all volumes of a patch get."""

    mirrored: tuple[int, ...]  # axes of (C, Z, Y, X) to flip
    matrix: np.ndarray | None  # (3, 3): from a voxel to where its value is taken, mm from the patch's centre (z, y, x)

    @classmethod
    def sample(cls, rng: np.random.Generator, spacing: Sequence[float]) -> "RandomAffine":
        """Draw an augmentation. Thick slices are not mixed: like nnU-Net it then rotates in their plane only."""
        mirrored = tuple(axis for axis in (1, 2, 3) if rng.random() < 0.5)
        turned, degrees = rng.random() < TURNED, rng.uniform(-DEGREES, DEGREES, 3)
        scales = np.full(3, rng.uniform(*SCALES))
        if max(spacing) >= THICK * min(spacing):
            thick = np.arange(3) == np.argmax(spacing)
            degrees, scales = np.where(thick, degrees, 0.0), np.where(thick, 1.0, scales)
        matrix = rotation(degrees * HANDED)[::-1, ::-1] / scales[:, None]  # to (z, y, x)
        return cls(mirrored, matrix if turned else None)

    def apply(self, volume: Tensor, spacing: tuple[float, float, float], nearest: bool = False) -> Tensor:
        """Return a volume, augmented; 0 beyond its edges.

        Args:
            volume: (C, Z, Y, X)
            spacing: in mm
            nearest: take the nearest voxel's value, else interpolate linearly
        """
        if self.mirrored:
            volume = torch.flip(volume, self.mirrored)
        if self.matrix is None:
            return volume
        extent = np.array(volume.shape[1:]) * spacing / 2  # grid_sample's coordinates go from -1 to 1
        scaled = (self.matrix * extent[None, :] / extent[:, None])[::-1, ::-1]  # and are ordered (x, y, z)
        theta = to_device(torch.from_numpy(np.pad(scaled, [(0, 0), (0, 1)])).to(volume.dtype), volume.device)
        grid = affine_grid(theta[None], [1, *volume.shape], align_corners=False)
        return grid_sample(volume[None], grid, mode="nearest" if nearest else "bilinear", align_corners=False)[0]
