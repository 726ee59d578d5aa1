"""Handcrafted tumours. In: sizes, and a cohort's tumours, if it has any. Out: shapes, as a bank to draw from.

Ellipsoids with a shell for each class: those that are not diffuse inside, the one of highest priority around the
others, and diffuse ones around all. Recipes turn, bend and place them like any donor's tumour.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nnunetv2_tf.geometry.rotation import rotation
from nnunetv2_tf.tumours.bank import Bank, Lesion
from nnunetv2_tf.tumours.warp import radius_of

NUMBER = 64  # shapes to draw from
STEPS = 12  # voxels along the shortest half axis, at least
COARSEST = 2.0  # mm, of a shape's grid
DIFFUSE_SHARE = 0.5  # of the volume, where no cohort tells
STREAM = 11  # of random numbers


@dataclass(frozen=True)
class ShapeConfig:
    """What ellipsoids are like."""

    like_cohort: bool = True  # as large as a training case's tumour and of its classes, where there are any
    radii_mm: tuple[float, ...] = (4.0, 8.0, 16.0, 32.0)  # else, all as likely
    uneven: float = 0.25  # half axes differ from the radius by up to this share


@dataclass(frozen=True)
class ShapeBank(Bank):
    """Shapes instead of donors' tumours."""

    like: Mapping[str, str | None] = field(default_factory=dict)  # by shape: the training case whose looks it has


def shape_bank(config: ShapeConfig, cohort: Bank) -> ShapeBank:
    """Draw the shapes: the same ones for the same settings and cohort.

    Args:
        config: settings
        cohort: its tumours, if any, and where brains lie
    """
    drawn = [_draw(config, cohort, index) for index in range(NUMBER)]
    return ShapeBank(
        lesions=tuple(lesion for lesion, _ in drawn),
        midline=cohort.midline,
        extent=cohort.extent,
        class_priority=cohort.class_priority,
        diffuse=cohort.diffuse,
        like={lesion.donor: like for lesion, like in drawn},
    )


def _draw(config: ShapeConfig, cohort: Bank, index: int) -> tuple[Lesion, str | None]:
    """Return a shape, and the training case that it is like."""
    rng = np.random.default_rng([STREAM, index])
    model = cohort.lesions[rng.integers(len(cohort.lesions))] if cohort.lesions else None
    shares = _equal_shares(cohort) if model is None else {name: ml / model.volume for name, ml in model.classes.items()}
    uneven = rng.uniform(1 - config.uneven, 1 + config.uneven, 3)
    if model is not None and config.like_cohort:
        half_axes = radius_of(model.volume) * uneven / np.prod(uneven) ** (1 / 3)
    else:
        half_axes = config.radii_mm[rng.integers(len(config.radii_mm))] * uneven
    centre = rng.uniform(*cohort.extent) if model is None else model.centre
    turn = rotation(rng.uniform(-180, 180, 3))
    lesion = ellipsoid(f"shape_{index:03d}", half_axes, turn, centre, shells(shares, cohort))
    return lesion, None if model is None else model.donor


def _equal_shares(cohort: Bank) -> dict[int, float]:
    """Return the classes' shares of the volume where nobody tells."""
    cores = [value for value in cohort.class_priority if value not in cohort.diffuse]
    diffuse = [value for value in cohort.class_priority if value in cohort.diffuse]
    of_diffuse = DIFFUSE_SHARE if cores and diffuse else float(bool(diffuse))
    shares = {value: (1 - of_diffuse) / len(cores) for value in cores}
    return shares | {value: of_diffuse / len(diffuse) for value in diffuse}


def shells(shares: Mapping[int, float], cohort: Bank) -> list[tuple[int, float]]:
    """Return classes from the inside out, each with its shell's outer radius as a share of the whole one's.

    Args:
        shares: of the volume, by class
        cohort: whose priority and diffuse classes count
    """
    ranked = [value for value in reversed(cohort.class_priority) if value in shares]
    outwards = sorted(ranked, key=lambda value: value in cohort.diffuse)  # keeps the order within either kind
    ends = np.cumsum([shares[value] for value in outwards])
    return [(value, float(end / ends[-1]) ** (1 / 3)) for value, end in zip(outwards, ends, strict=True)]


def ellipsoid(
    name: str, half_axes: np.ndarray, turn: np.ndarray, centre: np.ndarray, shells_: Sequence[tuple[int, float]]
) -> Lesion:
    """Return an ellipsoid as a lesion.

    Args:
        name: of the donor that it stands for
        half_axes: (3,) mm (x, y, z), before it is turned
        turn: (3, 3) a rotation
        centre: (3,) mm (x, y, z)
        shells_: as `shells` returns them
    """
    step = min(COARSEST, float(half_axes.min()) / STEPS)
    half_box = np.sqrt(((turn * half_axes) ** 2).sum(axis=1))  # of the box around it, (x, y, z)
    number = np.ceil(half_box / step).astype(int) + 1  # voxels on either side, a free one among them
    axes = [np.arange(-size, size + 1) * step for size in number]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    inside = turn.T @ np.stack([x, y, z]).reshape(3, -1)
    depth = np.linalg.norm(inside / half_axes[:, None], axis=0).reshape(x.shape)
    label = np.zeros(depth.shape, np.int16)
    for value, end in reversed(shells_):
        label[depth <= end] = value
    affine = np.zeros((4, 4))
    affine[[0, 1, 2], [2, 1, 0]] = step  # voxels are (Z, Y, X)
    affine[:3, 3], affine[3, 3] = centre - number * step, 1.0
    return Lesion(name, np.ascontiguousarray(label.transpose(2, 1, 0)), affine, (0, 0, 0))
