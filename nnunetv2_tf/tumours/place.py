"""A host's tumour map. In: donors' tumours with their transforms, the bank, a host. Out: the map, and what was lost.

Where tumours go is decided before, by `sampler.TumourSampler`, and stands in the recipe.

What falls outside the organ is discarded; where several tumours overlap, the class of higher priority wins; classes
that are diffuse leave out the host's fluid.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nnunetv2_tf.dataset.cases import channel_names
from nnunetv2_tf.geometry.boxes import Box, shape_of, starting_at, union, within
from nnunetv2_tf.io.array_files import Arrays
from nnunetv2_tf.tumours.bank import Bank, Lesion, cut_out, share_across
from nnunetv2_tf.tumours.fluid import FINDING, find_fluid
from nnunetv2_tf.tumours.recipe import DonorTumour
from nnunetv2_tf.tumours.warp import WarpedTumour, warp_tumour
from nnunetv2_tf.working_space.stored import OpenCase


@dataclass(frozen=True)
class HostAnatomy:
    """Who receives a tumour."""

    name: str
    organ: np.ndarray  # (Z, Y, X) bool: where tumour may be
    fluid: np.ndarray | None  # (Z, Y, X) bool: where diffuse classes may not be
    grid: np.ndarray  # 4x4, voxel (Z, Y, X) to mm (x, y, z) of the common space
    channels: tuple[str, ...] = ()  # what the scan's are called

    @cached_property
    def organ_voxels(self) -> np.ndarray:
        """(n, 3) voxels (Z, Y, X) of the organ."""
        return np.argwhere(self.organ)


def read_host(case: OpenCase, around_fluid: bool) -> HostAnatomy:
    """Read a case as host, in its own millimetres: healthy cases lie in the common space."""
    organ, channels = case.organ(), tuple(channel_names(case.dataset))
    fluid = _fluid(case, organ, channels) if around_fluid else None
    return HostAnatomy(case.identifier, organ, fluid, case.grid.affine, channels)


def _fluid(case: OpenCase, organ: np.ndarray, channels: Sequence[str]) -> np.ndarray | None:
    def compute() -> Arrays:
        found = find_fluid(case.image(), organ, channels, case.grid.spacing)
        return {} if found is None else {"fluid": found}

    return case.kept("fluid", [FINDING, channels], compute).get("fluid")


@dataclass(frozen=True)
class PlacedTumour:
    """One or more donors' tumours as they come to lie in a host: what becomes its tumour map."""

    tumours: tuple[DonorTumour, ...]  # the donors' and their transforms
    warped: tuple[WarpedTumour, ...]  # each by itself
    lesion: Lesion  # what came out, cut out; donor is the host's name
    box: Box  # of the host's grid
    map: np.ndarray  # (Z, Y, X) int16, the tumour map there
    kept: tuple[float, ...]  # of each tumour, the share of its voxels that fell into the organ
    across: tuple[float, ...]  # of each tumour, the share of those on the lesser side of the midline
    lost: tuple[int, ...]  # classes of a donor that have not come into the organ, or that fluid took away
    in_fluid: float  # share of the map that was left out because of fluid

    def label(self, shape: Sequence[int]) -> np.ndarray:
        """Return (Z, Y, X) int16: the tumour map on the host's whole grid."""
        whole = np.zeros(shape, np.int16)
        whole[self.box] = self.map
        return whole


def place_tumours(tumours: Sequence[DonorTumour], bank: Bank, host: HostAnatomy) -> PlacedTumour | None:
    """Turn donors' tumours, under transforms that are decided, into a host's tumour map.

    Cuts them at the organ, lets the class of higher priority win where they overlap, and takes diffuse classes out of
    fluid. None when nothing is left. Who decides is `sampler.TumourSampler`.
    """
    lesions = [bank.by_donor[tumour.donor] for tumour in tumours]
    warped = [
        warp_tumour(tumour, lesion, bank.midline, host.grid) for tumour, lesion in zip(tumours, lesions, strict=True)
    ]
    shape = host.organ.shape
    box = union([tumour.cut_to(shape)[0] for tumour in warped])
    organ, together = host.organ[box], np.zeros(shape_of(box), np.int16)
    rank = np.zeros(max(bank.class_priority) + 1, np.int16)
    rank[list(bank.class_priority)] = np.arange(len(bank.class_priority), 0, -1)
    kept, across, lost = [], [], set()
    for tumour in warped:
        there, label = tumour.cut_to(shape)
        here = within(there, box)
        inside = (label > 0) & organ[here]
        kept.append(float(inside.sum()) / max(int((tumour.label > 0).sum()), 1))
        across.append(share_across(inside, _grid_of(host, there), bank.midline))
        lost |= set(tumour.lesion.classes) - set(np.unique(label[inside]).tolist())
        np.copyto(together[here], label, where=inside & (rank[label] > rank[together[here]]))
    placed, left_out = int((together > 0).sum()), 0
    if host.fluid is not None and bank.diffuse:
        in_fluid = host.fluid[box] & np.isin(together, bank.diffuse)
        left_out = int(in_fluid.sum())
        together[in_fluid] = 0
    if not together.any():
        return None
    lesion = cut_out(host.name, together, _grid_of(host, box))
    lost |= set().union(*(lesion.classes for lesion in lesions)) - set(lesion.classes)
    return PlacedTumour(
        tumours=tuple(tumours),
        warped=tuple(warped),
        lesion=lesion,
        box=box,
        map=together,
        kept=tuple(kept),
        across=tuple(across),
        lost=tuple(sorted(lost)),
        in_fluid=left_out / max(placed, 1),
    )


def _grid_of(host: HostAnatomy, box: Box) -> np.ndarray:
    return starting_at(host.grid, [part.start for part in box])
