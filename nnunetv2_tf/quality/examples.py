"""Tumours as yardsticks look at them, real and made. In: a case in working space. Out: a box around the tumour.

All eyes see the same: the tumour and what is near it. What is further away is blanked in real and in made cases alike,
so that a host's own tumour on its other side, or the rest of its head, gives nothing away.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from nnunetv2_tf.geometry.boxes import box_around
from nnunetv2_tf.geometry.feather import signed_distance

VIEW = 10.0  # mm around a tumour


@dataclass(frozen=True)
class Example:
    """One tumour and its surroundings."""

    name: str
    real: bool
    groups: tuple[str, ...]  # whom it is of: the patient; of a made case its host and its donors
    image: np.ndarray  # (C, z, y, x) float32, as nnU-Net normalises; 0 where it is not in view
    tumour: np.ndarray  # (z, y, x) int16 the map
    organ: np.ndarray  # (z, y, x) bool, in view
    depth: np.ndarray  # (z, y, x) float32: mm to the tumour's surface, negative inside
    spacing: tuple[float, float, float]
    volume_ml: float
    further: dict[str, float] = field(default_factory=dict)  # figures of the whole case


def example(
    name: str,
    real: bool,
    groups: Sequence[str],
    image: np.ndarray,
    tumour: np.ndarray,
    organ: np.ndarray,
    spacing: Sequence[float],
    further: dict[str, float] | None = None,
) -> Example:
    """Cut the box around a tumour out of a case.

    Args:
        name: the case's
        real: or made
        groups: whom it is of
        image: (C, Z, Y, X)
        tumour: (Z, Y, X) the map, not empty
        organ: (Z, Y, X) bool
        spacing: mm by axis
        further: figures of the whole case
    """
    box = box_around(tumour > 0, [int(VIEW / step) + 2 for step in spacing])
    inside = tumour[box] > 0
    depth = signed_distance(inside, spacing)
    seen = organ[box] & (depth <= VIEW)
    z, y, x = (float(step) for step in spacing)
    return Example(
        name=name,
        real=real,
        groups=tuple(dict.fromkeys(groups)),
        image=np.where(seen, image[(slice(None), *box)], 0).astype(np.float32),
        tumour=tumour[box],
        organ=seen,
        depth=depth,
        spacing=(z, y, x),
        volume_ml=float(inside.sum() * np.prod(spacing) / 1000),
        further=further or {},
    )


def matched_by_volume(real: Sequence[Example], made: Sequence[Example], most: float = 2.0) -> list[Example]:
    """Return the made examples whose volume is like some real one's, spread evenly over the real ones.

    Args:
        real: whose volumes are to be met
        made: to choose from
        most: factor by which two volumes may differ
    """
    share = -(-len(made) // max(len(real), 1))
    taken = [0] * len(real)
    chosen = []
    distances = [[abs(np.log(one.volume_ml / other.volume_ml)) for other in real] for one in made]
    for index in sorted(range(len(made)), key=lambda index: min(distances[index], default=np.inf)):
        for place in np.argsort(distances[index], kind="stable"):
            if distances[index][place] > np.log(most):
                break
            if taken[place] < share:
                taken[place] += 1
                chosen.append(index)
                break
    return [made[index] for index in sorted(chosen)]
