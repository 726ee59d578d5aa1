"""Depth of networks. In: the plans' patch and spacing. Out: strides and kernels of each level, and the patch.

The rule is nnU-Net's own: an axis is halved while four voxels are left of it, and not while its voxels are twice as
wide as the finest axis'. A patch that cannot be halved often enough gets fewer levels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from nnunetv2.experiment_planning.experiment_planners.network_topology import get_pool_and_conv_props

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.working_space.preprocess import Plan

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


def largest_patch(plan: Plan, most: int) -> list[int]:
    """Return the size of the plans' patch, voxels, `most` at most along an axis."""
    return [min(int(size), most) for size in plan.manager.patch_size]


def check_patch(plan: Plan, most: int, levels: int, called: str) -> None:
    """Raise when the plans' patch cannot be halved once.

    Args:
        plan: with the patch
        most: voxels along an axis that are used of it
        levels: of the network
        called: the method that wants it, for the message
    """
    if Levels.of(largest_patch(plan, most), plan.manager.spacing, levels).number < 2:
        patch = " x ".join(map(str, plan.manager.patch_size))
        raise UserError(
            f"The plans' patch of {patch} voxels is too small for {called}, which has to halve it once and keep four "
            "voxels; take plans with a larger patch."
        )


def features_of_levels(plan: Plan, wanted: Sequence[int] | None, levels: int) -> tuple[int, ...]:
    """Return how many features each level has: as wanted, or as the plans' network; the last goes for the rest."""
    features = list(wanted or plan.manager.network_arch_init_kwargs["features_per_stage"])
    return (*features, *features[-1:] * (levels - len(features)))


def _whole(rows: Sequence[Sequence[float]]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(int(value) for value in row) for row in rows)
