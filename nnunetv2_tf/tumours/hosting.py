"""Transformed tumours on a host. In: a line's tumours, the bank, a host. Out: one tumour map, and what became of it.

What falls outside the organ is discarded; where several tumours overlap, the class of higher priority wins; classes
that are diffuse leave out the host's fluid.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nnunetv2_tf.cases import channel_names
from nnunetv2_tf.preparation.stored import Case
from nnunetv2_tf.tumours.anatomy import fluid
from nnunetv2_tf.tumours.bank import Bank, Lesion, cut_out, share_across
from nnunetv2_tf.tumours.recipe import Tumour
from nnunetv2_tf.tumours.transform import Moved, move


@dataclass(frozen=True)
class Host:
    """Who receives a tumour."""

    name: str
    organ: np.ndarray  # (Z, Y, X) bool: where tumour may be
    fluid: np.ndarray | None  # (Z, Y, X) bool: where diffuse classes may not be
    grid: np.ndarray  # 4x4, voxel (Z, Y, X) to mm (x, y, z) of the common space

    @cached_property
    def places(self) -> np.ndarray:
        """(n, 3) voxels (Z, Y, X) of the organ."""
        return np.argwhere(self.organ)


def read_host(case: Case, around_fluid: bool) -> Host:
    """A case as host, in its own millimetres: healthy cases lie in the common space."""
    organ = case.organ()
    wet = None
    if around_fluid:
        wet = fluid(case.image(), organ, channel_names(case.dataset), case.grid.spacing)
    return Host(case.identifier, organ, wet, case.grid.affine)


@dataclass(frozen=True)
class Hosted:
    """A placed tumour map."""

    lesion: Lesion  # what came out, cut out; donor is the host's name
    box: tuple[slice, ...]  # of the host's grid
    map: np.ndarray  # (Z, Y, X) int16, the tumour map there
    moved: tuple[Moved, ...]  # the tumours, each by itself
    kept: tuple[float, ...]  # of each tumour, the share of its voxels that fell into the organ
    across: tuple[float, ...]  # of each tumour, the share of those on the lesser side of the midline
    lost: tuple[int, ...]  # classes of a donor that have not come into the organ, or that fluid took away
    in_fluid: float  # share of the map that was left out because of fluid

    def label(self, shape: Sequence[int]) -> np.ndarray:
        """(Z, Y, X) int16: the tumour map on the host's whole grid."""
        whole = np.zeros(shape, np.int16)
        whole[self.box] = self.map
        return whole


def host_tumours(tumours: Sequence[Tumour], bank: Bank, host: Host) -> Hosted | None:
    """Places the tumours of a line; None when nothing of them falls into the organ."""
    lesions = [bank.by_donor[tumour.donor] for tumour in tumours]
    moved = [move(tumour, lesion, bank.midline, host.grid) for tumour, lesion in zip(tumours, lesions, strict=True)]
    box = _around(moved, host.organ.shape)
    organ, together = host.organ[box], np.zeros([part.stop - part.start for part in box], np.int16)
    rank = np.zeros(max(bank.rank) + 1, np.int16)
    rank[list(bank.rank)] = np.arange(len(bank.rank), 0, -1)
    kept, across, lost = [], [], set()
    for one, lesion in zip(moved, lesions, strict=True):
        own, label = one.cut_to(host.organ.shape)
        here = tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(own, box, strict=True))
        inside = (label > 0) & organ[here]
        kept.append(float(inside.sum()) / max(int((one.label > 0).sum()), 1))
        across.append(share_across(inside, _from(host.grid, own), bank.midline))
        lost |= set(lesion.classes) - set(np.unique(label[inside]).tolist())
        np.copyto(together[here], label, where=inside & (rank[label] > rank[together[here]]))
    placed, left_out = int((together > 0).sum()), 0
    if host.fluid is not None and bank.diffuse:
        wet = host.fluid[box] & np.isin(together, bank.diffuse)
        left_out = int(wet.sum())
        together[wet] = 0
    if not together.any():
        return None
    found = cut_out(host.name, together, _from(host.grid, box))
    lost |= set().union(*(lesion.classes for lesion in lesions)) - set(found.classes)
    share = left_out / max(placed, 1)
    return Hosted(found, box, together, tuple(moved), tuple(kept), tuple(across), tuple(sorted(lost)), share)


def _from(grid: np.ndarray, box: Sequence[slice]) -> np.ndarray:
    """A grid that begins where a box of it does."""
    moved = grid.copy()
    moved[:3, 3] += grid[:3, :3] @ [part.start for part in box]
    return moved


def _around(moved: Sequence[Moved], shape: Sequence[int]) -> tuple[slice, ...]:
    """The part of a grid that holds all of them."""
    boxes = [one.cut_to(shape)[0] for one in moved]
    return tuple(
        slice(min(part.start for part in parts), max(part.stop for part in parts)) for parts in zip(*boxes, strict=True)
    )
