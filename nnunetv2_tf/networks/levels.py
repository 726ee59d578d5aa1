"""Depth of networks. In: the plans' patch and spacing. Out: strides and kernels of each level, and the patch.

The rule is nnU-Net's own: an axis is halved while four voxels are left of it, and not while its voxels are twice as
wide as the finest axis'. A patch that cannot be halved often enough gets fewer levels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from nnunetv2.experiment_planning.experiment_planners.network_topology import get_pool_and_conv_props

SMALLEST = 4  # voxels along an axis at the lowest level


@dataclass(frozen=True)
class Levels:
    """The resolution levels of a network."""

    strides: tuple[tuple[int, ...], ...]  # from the level above; for the first level 1
    kernels: tuple[tuple[int, ...], ...]
    patch: tuple[int, ...]  # rounded up to what the strides divide

    @classmethod
    def of(cls, patch: Sequence[int], spacing: Sequence[float], most: int) -> "Levels":
        """Return the levels for a patch and a spacing, `most` at most."""
        _, strides, kernels, padded, _ = get_pool_and_conv_props(list(spacing), list(patch), SMALLEST, most - 1)
        return cls(_whole(strides[:most]), _whole(kernels[:most]), *_whole([padded]))

    @property
    def number(self) -> int:
        """How many levels there are."""
        return len(self.strides)


def _whole(rows: Sequence[Sequence[float]]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(int(value) for value in row) for row in rows)
