"""Coarse grids made of blocks of voxels. In: a fine grid, a wanted spacing. Out: means of blocks, and the way back."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnunetv2_tf.geometry.boxes import Box, shape_of, starting_at
from nnunetv2_tf.geometry.resampling import resample


@dataclass(frozen=True)
class Blocks:
    """A grid each of whose voxels is a block of whole voxels of a finer one; the last blocks may reach beyond it."""

    factor: tuple[int, ...]  # voxels of a block (Z, Y, X)
    fine: tuple[int, ...]  # shape of the finer grid
    spacing: tuple[float, ...]  # mm between blocks

    @classmethod
    def near(cls, wanted: float, spacing: Sequence[float], shape: Sequence[int]) -> "Blocks":
        """Return the blocks whose edges are nearest to so many mm."""
        factor = tuple(max(1, round(wanted / step)) for step in spacing)
        return cls(factor, tuple(shape), tuple(step * count for step, count in zip(spacing, factor, strict=True)))

    @property
    def shape(self) -> tuple[int, ...]:
        """How many blocks there are along each axis."""
        return tuple(-(-size // count) for size, count in zip(self.fine, self.factor, strict=True))

    @property
    def to_fine(self) -> np.ndarray:
        """Affine from blocks to voxels, 4x4."""
        factor = np.array(self.factor, float)
        affine = np.diag([*factor, 1.0])
        affine[:3, 3] = (factor - 1) / 2
        return affine

    def mean(self, volume: np.ndarray) -> np.ndarray:
        """Return the mean of each block (Z, Y, X) float32, of 0 beyond the finer grid."""
        padding = [
            (0, blocks * count - size)
            for blocks, count, size in zip(self.shape, self.factor, self.fine, strict=True)
        ]  # fmt: skip
        summed = np.pad(volume, padding) if any(after for _, after in padding) else volume
        for axis, count in enumerate(self.factor):  # several times as fast as a mean over three axes
            first = (slice(None),) * axis
            total = summed[(*first, slice(0, None, count))].astype(np.float32)
            for start in range(1, count):
                total += summed[(*first, slice(start, None, count))]
            summed = total
        return summed / np.float32(np.prod(self.factor))

    def repeated(self, values: np.ndarray) -> np.ndarray:
        """Return what each voxel of the finer grid has of its block."""
        for axis, count in enumerate(self.factor):
            values = np.repeat(values, count, axis=axis)
        return values[tuple(slice(size) for size in self.fine)]

    def spread(self, values: np.ndarray, box: Box) -> np.ndarray:
        """Return values of blocks, interpolated linearly on a box of the finer grid."""
        edge = np.pad(values, 1, mode="edge")
        affine = np.linalg.inv(starting_at(self.to_fine, (-1, -1, -1)))
        return resample(edge, starting_at(affine, [part.start for part in box]), shape_of(box), 1, 0.0)
