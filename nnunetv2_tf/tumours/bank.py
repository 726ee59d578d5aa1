"""The tumours of a fold's training cases. In: cases. Out: each tumour cut out, and where it lies in the common space.

The common space is the millimetres that real and healthy scans share: world coordinates of a dataset whose scans share
one grid, else those of the reference, to which every scan has an affine.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np
from scipy import ndimage

from nnunetv2_tf.dataset.label_roles import LabelRoles
from nnunetv2_tf.geometry.boxes import box_around, starting_at
from nnunetv2_tf.io.digests import digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.working_space.stored import Case

PIECE_ML = 0.1  # smaller pieces do not count as tumours of their own
POINT_SAMPLE = 2000
DECIMALS = 5  # of mm and shares in digests
EVERYWHERE = np.ones((3, 3, 3), bool)


@dataclass(frozen=True)
class Lesion:
    """One donor's tumour, all of its pieces."""

    donor: str
    label: np.ndarray  # (Z, Y, X) int16, the box around it and a voxel more; tumour classes only
    affine: np.ndarray  # 4x4, voxel (Z, Y, X) of the box to mm (x, y, z) of the common space
    start: tuple[int, ...]  # voxel that the box begins with, of the array it was cut from; -1 at its edge

    @cached_property
    def classes(self) -> dict[int, float]:
        """Millilitres of each class."""
        values, counts = np.unique(self.label[self.label > 0], return_counts=True)
        return {int(value): float(count) * self.voxel_ml for value, count in zip(values, counts, strict=True)}

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel."""
        return abs(float(np.linalg.det(self.affine[:3, :3]))) / 1000

    @property
    def volume(self) -> float:
        """Millilitres of all classes."""
        return sum(self.classes.values())

    @property
    def points(self) -> np.ndarray:
        """(n, 3) mm (x, y, z) of its voxels."""
        return np.argwhere(self.label > 0) @ self.affine[:3, :3].T + self.affine[:3, 3]

    @cached_property
    def point_sample(self) -> np.ndarray:
        """(n, 3) mm (x, y, z) of some of its voxels, drawn once: enough to see where it would come to lie."""
        points = self.points
        return points[np.random.default_rng(0).permutation(len(points))[:POINT_SAMPLE]]

    @cached_property
    def outline(self) -> np.ndarray:
        """(n, 3) voxels of its box: its first and last one on each line along X, which tell any box around it."""
        inside = self.label > 0
        z, y = np.nonzero(inside.any(axis=2))
        lines = inside[z, y]
        first, last = lines.argmax(axis=1), lines.shape[1] - 1 - lines[:, ::-1].argmax(axis=1)
        return np.concatenate([np.stack([z, y, first], axis=1), np.stack([z, y, last], axis=1)])

    @cached_property
    def centre(self) -> np.ndarray:
        """(3,) mm (x, y, z), the mean over its voxels."""
        return self.points.mean(axis=0)

    @cached_property
    def pieces(self) -> int:
        """How many separate tumours it is."""
        return count_pieces(self.label > 0, self.voxel_ml)

    def across(self, midline: float) -> float:
        """Return the share that lies on the side of the midline where less of it lies, by some of its points."""
        share = float((self.point_sample[:, 0] > midline).mean())
        return min(share, 1 - share)


@dataclass(frozen=True)
class Bank:
    """A cohort's tumours, in the order of their donors' names, and what is known of all of them."""

    lesions: tuple[Lesion, ...]
    midline: float  # mm along x, which grows to the left, of the common space
    extent: np.ndarray  # (2, 3) mm (x, y, z): the box that the cohort's organs lie in
    class_priority: tuple[int, ...]  # the classes; where tumours overlap, the earlier one wins
    diffuse: tuple[int, ...]  # classes that leave out a host's fluid

    @cached_property
    def by_donor(self) -> dict[str, Lesion]:
        """The tumours by their donors."""
        return {lesion.donor: lesion for lesion in self.lesions}

    @cached_property
    def digest(self) -> str:
        """The same for the same tumours in the same places."""
        tumours = [
            [lesion.donor, lesion.label.shape, sha256(lesion.label.tobytes()).hexdigest(), rounded(lesion.affine)]
            for lesion in self.lesions
        ]
        return digest([tumours, rounded(self.midline), rounded(self.extent), self.class_priority, self.diffuse])

    def restricted_to(self, donors: Collection[str]) -> "Bank":
        """Return the bank of these donors only."""
        return replace(self, lesions=tuple(lesion for lesion in self.lesions if lesion.donor in donors))


def rounded(value: Any) -> Any:
    """Return a number, or an array as lists, for a digest: without the digits in which kinds of CPUs differ."""
    return (np.round(value, DECIMALS) + 0.0).tolist()  # and without -0.0


def bank_from_cases(cases: Sequence[Case], affines: Mapping[str, np.ndarray]) -> Bank:
    """Cut the tumours out of cases.

    Args:
        cases: training cases of one fold; those without tumour only say where the middle is
        affines: by case, what takes points of the common space to points of its scan; identity where there is none
    """
    scans = (
        (
            case.identifier,
            case.organ(),
            case.tumour(),
            np.linalg.inv(affines.get(case.identifier, np.eye(4))) @ case.grid.affine,
        )
        for case in (case.open() for case in sorted(cases, key=lambda case: case.identifier))
    )
    return bank_from_scans(scans, cases[0].roles if cases else LabelRoles(()))


def bank_from_scans(scans: Iterable[tuple[str, np.ndarray, np.ndarray, np.ndarray]], roles: LabelRoles) -> Bank:
    """Cut the tumours out of scans: name, organ (Z, Y, X) bool, tumour map (Z, Y, X), voxel to common space (4, 4)."""
    lesions, middles, ends = [], [], []
    for name, organ, tumour, to_common in scans:
        inside = np.argwhere(organ)
        if len(inside):
            corners = np.stack([inside.min(axis=0), inside.mean(axis=0), inside.max(axis=0)])
            low, middle, high = corners @ to_common[:3, :3].T + to_common[:3, 3]
            middles.append(middle[0])
            ends += [low, high]
        if tumour.any():
            lesions.append(cut_out(name, tumour, to_common))
    if not ends:
        raise UserError("No training case of this fold has any organ; check its labels and splits_final.json.")
    extent = np.stack([np.min(ends, axis=0), np.max(ends, axis=0)])
    return Bank(tuple(lesions), float(np.median(middles)), extent, _class_priority(lesions, roles), roles.diffuse)


def _class_priority(lesions: Sequence[Lesion], roles: LabelRoles) -> tuple[int, ...]:
    """Return the classes, the one that wins first: as dataset.json says, else the smaller one of the cohort."""
    volumes = {value: sum(lesion.classes.get(value, 0.0) for lesion in lesions) for value in roles.tumour}
    others = sorted(set(roles.tumour) - set(roles.priority), key=lambda value: (volumes[value], value))
    return (*(value for value in roles.priority if value in volumes), *others)


def cut_out(donor: str, tumour: np.ndarray, to_common: np.ndarray) -> Lesion:
    """Cut the box around a tumour map (Z, Y, X) out, with a voxel more on each side."""
    box = box_around(tumour > 0)
    start = tuple(part.start - 1 for part in box)
    return Lesion(donor, np.pad(tumour[box], 1).astype(np.int16), starting_at(to_common, start), start)


def count_pieces(tumour: np.ndarray, voxel_ml: float) -> int:
    """Count connected pieces of more than a few voxels; at least one where there is anything."""
    pieces = np.zeros(tumour.shape, np.int32)
    ndimage.label(tumour, EVERYWHERE, output=pieces)
    sizes = np.bincount(pieces.ravel())[1:] * voxel_ml
    return max(int((sizes >= PIECE_ML).sum()), min(len(sizes), 1))


def share_across(tumour: np.ndarray, grid: np.ndarray, midline: float) -> float:
    """Return the share of a tumour (Z, Y, X) on the side of the midline where less of it lies.

    Args:
        tumour: bool
        grid: 4x4, voxel to mm (x, y, z)
        midline: mm along x
    """
    z, y, x = (np.arange(size) * step for size, step in zip(tumour.shape, grid[0, :3], strict=True))
    left = z[:, None, None] + y[:, None] + x + grid[0, 3] > midline
    share = float((left & tumour).sum()) / max(int(tumour.sum()), 1)
    return min(share, 1 - share)
