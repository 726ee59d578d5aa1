"""Transformed tumours on a host. In: a line's tumours, the bank, a host. Out: one tumour map, and what became of it.

What falls outside the organ is discarded; where several tumours overlap, the class of higher priority wins; classes
that are diffuse leave out the host's fluid.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnunetv2_tf.meaning import Meaning
from nnunetv2_tf.preparation.stored import Case
from nnunetv2_tf.tumours.anatomy import fluid
from nnunetv2_tf.tumours.bank import Bank, Lesion, cut_out
from nnunetv2_tf.tumours.recipe import Tumour
from nnunetv2_tf.tumours.transform import move


@dataclass(frozen=True)
class Host:
    """Who receives a tumour."""

    name: str
    organ: np.ndarray  # (Z, Y, X) bool: where tumour may be
    fluid: np.ndarray | None  # (Z, Y, X) bool: where diffuse classes may not be
    grid: np.ndarray  # 4x4, voxel (Z, Y, X) to mm (x, y, z) of the common space


def read_host(case: Case, around_fluid: bool) -> Host:
    """A case as host, in its own millimetres: healthy cases lie in the common space."""
    organ = case.organ()
    wet = None
    if around_fluid:
        names = case.plan.dataset_json["channel_names"]
        channels = [names[key] for key in sorted(names, key=int)]
        wet = fluid(case.image(), organ, channels, case.grid.spacing)
    return Host(case.identifier, organ, wet, case.grid.affine)


@dataclass(frozen=True)
class Hosted:
    """A placed tumour map."""

    lesion: Lesion  # what came out, cut out; donor is the host's name
    label: np.ndarray  # (Z, Y, X) int16, the same on the host's whole grid
    kept: float  # share of the tumours' voxels that fell into the organ
    lost: tuple[int, ...]  # classes that the donors have and this map has not
    in_fluid: float  # share that was left out because of fluid


def host_tumours(tumours: Sequence[Tumour], bank: Bank, host: Host, meaning: Meaning) -> Hosted | None:
    """Places the tumours of a line; None when nothing of them falls into the organ."""
    priority = rank_of_classes(bank, meaning)
    together = np.zeros(host.organ.shape, np.int16)
    rank = np.zeros(max(priority) + 1, np.int16)
    rank[list(priority)] = np.arange(len(priority), 0, -1)
    whole = kept = 0
    expected: set[int] = set()
    for tumour in tumours:
        lesion = bank.by_donor[tumour.donor]
        moved = move(tumour, lesion, bank.midline, host.grid)
        box, label = moved.cut_to(host.organ.shape)
        inside = (label > 0) & host.organ[box]
        whole += int((moved.label > 0).sum())
        kept += int(inside.sum())
        expected |= set(lesion.classes)
        there = together[box]
        np.copyto(there, label, where=inside & (rank[label] > rank[there]))
    left_out = 0
    placed = int((together > 0).sum())
    if host.fluid is not None and meaning.diffuse:
        wet = np.isin(together, meaning.diffuse) & host.fluid
        left_out = int(wet.sum())
        together[wet] = 0
    if not together.any():
        return None
    lesion = cut_out(host.name, together, host.grid)
    return Hosted(
        lesion=lesion,
        label=together,
        kept=kept / max(whole, 1),
        lost=tuple(sorted(expected - set(lesion.classes))),
        in_fluid=left_out / max(placed, 1),
    )


def rank_of_classes(bank: Bank, meaning: Meaning) -> tuple[int, ...]:
    """The classes, the one that wins first: as dataset.json says, else the smaller one of the cohort."""
    volumes = {value: sum(lesion.classes.get(value, 0.0) for lesion in bank.lesions) for value in meaning.tumour}
    others = sorted(set(meaning.tumour) - set(meaning.priority), key=lambda value: (volumes[value], value))
    return (*(value for value in meaning.priority if value in volumes), *others)
