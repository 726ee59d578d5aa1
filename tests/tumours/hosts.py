"""A small cohort without files: lesions in an ellipsoidal organ, and hosts to receive them."""

from collections.abc import Sequence

import numpy as np

from nnunetv2_tf.tumours.bank import Bank, Lesion, cut_out
from nnunetv2_tf.tumours.place import HostAnatomy

SHAPE = (40, 48, 44)
GRID = np.array([[0.0, 0, 3, -66], [0, 3, 0, -72], [3, 0, 0, -60], [0, 0, 0, 1]])  # Z, Y, X voxels of 3 mm to x, y, z
MIDLINE = 0.0


def ball(centre: tuple[float, ...], radius: float) -> np.ndarray:
    """In voxels."""
    places = np.indices(SHAPE) - np.reshape(centre, (3, 1, 1, 1))
    return (places**2).sum(axis=0) <= radius**2


def organ() -> np.ndarray:
    """The ellipsoid that fills the grid, but for a rim."""
    places = (np.indices(SHAPE) - np.reshape(SHAPE, (3, 1, 1, 1)) / 2 + 0.5) / (np.reshape(SHAPE, (3, 1, 1, 1)) / 2 - 2)
    return (places**2).sum(axis=0) <= 1


def lesion_map(centre: tuple[float, ...], radius: float) -> np.ndarray:
    """Oedema around an enhancing shell around a necrotic core."""
    label = np.zeros(SHAPE, np.int16)
    for value, share in ((2, 1.0), (3, 0.7), (1, 0.45)):
        label[ball(centre, radius * share)] = value
    return np.where(organ(), label, 0).astype(np.int16)


def bank(seed: int = 0, number: int = 8) -> Bank:
    """Lesions of some sizes on both sides, none across the midline."""
    rng = np.random.default_rng(seed)
    lesions = []
    for index in range(number):
        radius = rng.uniform(4, 7)
        x = 21.5 + (-1) ** index * rng.uniform(radius + 1, radius + 3)
        centre = (rng.uniform(15, 25), rng.uniform(16, 32), x)
        lesions.append(cut_out(f"case_{index}", lesion_map(centre, radius), GRID))
    return bank_of(lesions)


def bank_of(lesions: Sequence[Lesion]) -> Bank:
    """With the grid's organ."""
    places = np.argwhere(organ()) @ GRID[:3, :3].T + GRID[:3, 3]
    extent = np.stack([places.min(axis=0), places.max(axis=0)])
    return Bank(tuple(lesions), MIDLINE, extent, class_priority=(3, 1, 2), diffuse=(2,))


def host(name: str = "host", fluid: np.ndarray | None = None) -> HostAnatomy:
    """A healthy brain."""
    return HostAnatomy(name, organ(), fluid, GRID)
