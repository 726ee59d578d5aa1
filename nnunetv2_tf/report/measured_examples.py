"""Examples for the yardsticks of realism. In: a measured set. Out: real and made tumours, and tumour-free balls."""

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np
from scipy.ndimage import distance_transform_edt

from nnunetv2_tf.dataset.cases import channel_names
from nnunetv2_tf.geometry.distances import depth_in
from nnunetv2_tf.geometry.grid import sideways_axis
from nnunetv2_tf.quality.examples import Example, example
from nnunetv2_tf.quality.whole_brain import asymmetry
from nnunetv2_tf.report.measured_set import MeasuredCase
from nnunetv2_tf.tumours.fluid import find_fluid
from nnunetv2_tf.working_space.free_side import AWAY
from nnunetv2_tf.working_space.stored import Case, OpenCase

BALL = 12.0  # mm, radius of a tumour-free ball


def real_examples(cases: Mapping[str, Case], whole: bool) -> list[Example]:
    """Return the real tumours of some cases; `whole`: with figures of the whole brain."""
    opened = (case.open() for case in cases.values())
    return [_example(case, case.tumour(), True, (person(case),), whole) for case in opened]


def made_examples(made: Sequence[MeasuredCase], people: Mapping[str, Case], whole: bool) -> list[Example]:
    """Return the tumours of synthetic cases; `people`: the real cases, whose names stand for patients."""
    found = []
    for one in made:
        if (one.tumour > 0).any():
            groups = [person(people[name]) if name in people else name for name in (one.host, *one.donors)]
            found.append(_example(one.case, one.tumour, False, groups, whole))
    return found


def tumour_free_balls(real: Mapping[str, Case], made: Sequence[MeasuredCase]) -> list[Example]:
    """Return balls of tissue opposite the tumours, in patients and in healthy hosts: what else tells them apart."""
    patients = ((case.open(), True, person(case)) for case in real.values())
    balls = []
    for case, is_real, whose in chain(patients, ((one.case, False, one.host) for one in made)):
        ball = _opposite(case, case.tumour() > 0)
        if ball is not None:
            image, organ = case.image(), case.organ()
            balls.append(example(case.identifier, is_real, (whose,), image, ball, organ, case.grid.spacing))
    return balls


def _opposite(case: OpenCase, tumour: np.ndarray) -> np.ndarray | None:
    """Return (Z, Y, X): 1 in a ball around the mirrored middle of a tumour, moved away from it; None without room."""
    organ, spacing = case.organ(), case.grid.spacing
    if not tumour.any():
        return None
    free = organ & (np.asarray(distance_transform_edt(~tumour, sampling=spacing)) > AWAY)
    room = depth_in(free, spacing) >= BALL
    if not room.any():
        return None
    axis = sideways_axis(case.grid.affine)
    middle = np.argwhere(tumour).mean(axis=0)
    places = np.argwhere(organ)[:, axis]
    middle[axis] = places.min() + places.max() - middle[axis]
    candidates = np.argwhere(room)
    centre = candidates[np.argmin((((candidates - middle) * spacing) ** 2).sum(axis=1))]
    indices = np.indices(organ.shape).reshape(3, -1).T
    inside = (((indices - centre) * spacing) ** 2).sum(axis=1) < BALL**2
    return inside.reshape(organ.shape).astype(np.int16)


def _example(case: OpenCase, tumour: np.ndarray, real: bool, groups: Sequence[str], whole: bool) -> Example:
    image, organ = case.image(), case.organ()
    further = surroundings(image, tumour > 0, organ, case) if whole else {}
    return example(case.identifier, real, groups, image, tumour, organ, case.grid.spacing, further)


def surroundings(image: np.ndarray, tumour: np.ndarray, organ: np.ndarray, case: OpenCase) -> dict[str, float]:
    """Return figures of the brain around a tumour.

    Args:
        image: (C, Z, Y, X)
        tumour: (Z, Y, X) bool
        organ: (Z, Y, X) bool
        case: on whose grid they lie
    """
    spacing = case.grid.spacing
    fluid = find_fluid(image, organ, channel_names(case.dataset), spacing)
    return asymmetry(image, tumour, organ, fluid, spacing, sideways_axis(case.grid.affine))


def person(case: Case) -> str:
    """Return whom a real case is of."""
    return " ".join(case.group)
