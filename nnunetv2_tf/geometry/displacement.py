"""Displacement fields of tissue, and volumes warped by them: cubic for images, nearest for labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.ndimage import map_coordinates

from nnunetv2_tf.geometry.blocks import Blocks
from nnunetv2_tf.geometry.boxes import Box, box_around, box_from, shape_of, starting_at, widened, within
from nnunetv2_tf.geometry.resampling import resample, stretched
from nnunetv2_tf.geometry.separable import spline_weights

NOTHING = 0.1  # mm: shorter displacements are none
SPLINE = 8  # voxels around a box that cubic interpolation in it needs


@dataclass(frozen=True)
class Displacement:
    """Where tissue came from: what is now at x was at x + shift(x)."""

    shift: np.ndarray  # (3, z, y, x) mm along (Z, Y, X), by blocks of the case's grid
    blocks: Blocks
    organ: np.ndarray  # (Z, Y, X) bool of the case's grid: nothing moves outside

    @property
    def spacing(self) -> tuple[float, ...]:
        """Spacing of the case's grid in mm."""
        return tuple(step / count for step, count in zip(self.blocks.spacing, self.blocks.factor, strict=True))

    @property
    def largest(self) -> float:
        """How far tissue moved at the most, in mm."""
        return float(np.sqrt((self.shift**2).sum(axis=0)).max())

    @cached_property
    def on_case(self) -> tuple[Box, np.ndarray] | None:
        """The same on the case's own grid, as `on` returns it; kept, since all volumes of a case move alike."""
        return self.on(np.eye(4), self.organ.shape)

    def moved(self, volumes: np.ndarray, order: int) -> np.ndarray:
        """Return volumes (C, Z, Y, X) of the case after its tissue moved; order as of `displaced`."""
        result = volumes.copy()
        if self.on_case is not None:
            box, shift = self.on_case
            for volume, target in zip(volumes, result, strict=True):
                if volume.min() != volume.max():
                    target[box] = displaced(volume, box, shift, self.spacing, order)
        return result

    def on(self, to_case: np.ndarray, shape: Sequence[int]) -> tuple[Box, np.ndarray] | None:
        """Return the box of a grid in which anything moves, and (3, *box) shifts there in mm; None where all is still.

        Args:
            to_case: 4x4, voxel of the grid to voxel of the case
            shape: of the grid
        """
        moving = np.sqrt((self.shift**2).sum(axis=0)) > NOTHING
        if not moving.any():
            return None
        from_blocks = np.linalg.inv(to_case) @ self.blocks.to_fine
        found = box_around(moving)
        low = from_blocks[:3, :3] @ [part.start - 1.5 for part in found] + from_blocks[:3, 3]
        high = from_blocks[:3, :3] @ [part.stop + 0.5 for part in found] + from_blocks[:3, 3]
        box = box_from(np.clip(np.floor(low), 0, shape), np.clip(np.ceil(high) + 1, 0, shape))
        here = starting_at(to_case, [part.start for part in box])
        size = shape_of(box)
        inside = resample(self.organ.astype(np.float32), here, size, 1, 0.0) >= 0.5
        to_blocks = np.linalg.inv(self.blocks.to_fine) @ here
        shift = np.stack([stretched(part.astype(np.float32), to_blocks, size) for part in self.shift])
        length = np.sqrt((shift**2).sum(axis=0))
        shift *= inside * np.maximum(1 - NOTHING / np.maximum(length, NOTHING), 0)  # no step at the edge of what moves
        return box, shift


def displaced(volume: np.ndarray, box: Box, shift: np.ndarray, spacing: Sequence[float], order: int) -> np.ndarray:
    """Return what a volume (Z, Y, X) has in a box after its tissue moved.

    Args:
        volume: any type; the result has the same where the order is 0, else float32
        box: of the volume
        shift: (3, *box) mm
        spacing: mm between voxels
        order: of the spline: 3 for images, 0 for labels
    """
    moved = np.abs(shift).max(axis=(1, 2, 3)) / spacing
    wide = widened(box, np.ceil(moved).astype(int) + SPLINE, volume.shape)
    inner = within(box, wide)
    part = volume[wide] if order == 0 else volume[wide].astype(np.float32)
    moving = shift.any(axis=0)
    starts = (cut.start for cut in inner)
    places = [
        voxels + first + along[moving] / step
        for voxels, first, along, step in zip(np.nonzero(moving), starts, shift, spacing, strict=True)
    ]
    result = part[inner].copy()
    source, beyond = (part, "nearest") if order == 0 else (spline_weights(part), "mirror")
    result[moving] = map_coordinates(source, places, order=order, mode=beyond, prefilter=False)
    return result
