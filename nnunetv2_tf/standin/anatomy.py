"""Brain anatomy. In: the shape of a grid. Out: shares of grey and white matter, from MNI152 or from formulas."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, cast

import numpy as np
from scipy.ndimage import affine_transform, binary_fill_holes, map_coordinates

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.standin.cohort import smooth_field

Kind = Literal["mni152", "procedural"]
MARGIN = 0.06  # of the grid, between the brain and its border


@dataclass(frozen=True)
class Anatomy:
    """A brain: shares of grey and white matter in [0, 1] and where the brain is, all (Z, Y, X)."""

    grey: np.ndarray
    white: np.ndarray
    brain: np.ndarray  # bool

    def moved(self, displacement: np.ndarray) -> "Anatomy":
        """Return the brain sampled at x + displacement(x); displacement is (3, Z, Y, X) in voxels."""
        where = np.indices(self.brain.shape) + displacement
        sampled = [
            map_coordinates(part.astype(np.float32), where, order=1) for part in (self.grey, self.white, self.brain)
        ]
        return Anatomy(sampled[0], sampled[1], sampled[2] > 0.5)


def anatomy(kind: Kind, shape: tuple[int, int, int]) -> Anatomy:
    """Return the template brain of this kind, filling the grid."""
    return _mni152(shape) if kind == "mni152" else _procedural(shape)


def individual(template: Anatomy, rng: np.random.Generator) -> Anatomy:
    """Return another person's brain: the template under a smooth random warp."""
    size = np.array(template.brain.shape)
    bend = np.stack([smooth_field(rng, template.brain.shape) for _ in size]) * (0.02 * size)[:, None, None, None]
    stretch = rng.normal(scale=0.02, size=3)
    centred = np.indices(template.brain.shape) - ((size - 1) / 2)[:, None, None, None]
    return template.moved(bend + stretch[:, None, None, None] * centred)


@lru_cache(maxsize=4)
def _procedural(shape: tuple[int, int, int]) -> Anatomy:
    """Return an ellipsoid with a folded cortex, white matter inside and two ventricles."""
    axes = np.meshgrid(*(np.linspace(-1, 1, size) / (1 - 2 * MARGIN) for size in shape), indexing="ij")
    z, y, x = (axis / radius for axis, radius in zip(axes, (0.9, 1.0, 0.9), strict=True))
    radius = np.sqrt(z**2 + y**2 + x**2)
    folds = 0.06 * np.cos(9 * np.arctan2(y, x)) * np.cos(7 * np.arctan2(z, np.hypot(x, y)))
    brain = radius < 0.97
    white = _soft(0.72 + folds - radius)
    grey = _soft(0.93 + 0.3 * folds - radius) - white
    ventricles = _soft(0.2 - np.sqrt((z / 0.9) ** 2 + (y / 2.2) ** 2 + ((np.abs(x) - 0.16) / 0.5) ** 2))
    grey, white = (np.clip(part * (1 - ventricles), 0, 1) * brain for part in (grey, white))
    return Anatomy(grey, white, brain)


def _soft(distance: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-distance * 40))


@lru_cache(maxsize=4)
def _mni152(shape: tuple[int, int, int]) -> Anatomy:
    """Return the ICBM152 2009a average that nilearn ships, cropped to the brain and fitted into the grid."""
    try:
        from nilearn.datasets import load_mni152_gm_template, load_mni152_template, load_mni152_wm_template
    except ImportError:
        raise UserError(
            "Stand-ins with real anatomy need nilearn: pip install 'nnunetv2_tf[demo]', or use procedural ones."
        ) from None
    loaded = [np.asarray(load(resolution=1).dataobj).T for load in (load_mni152_gm_template, load_mni152_wm_template)]
    brain = np.asarray(binary_fill_holes(np.asarray(load_mni152_template(resolution=1).dataobj).T > 0.05))
    corners = np.argwhere(brain)
    low, high = corners.min(0), corners.max(0)
    grey, white = (_fitted(part, low, high, shape) for part in loaded)
    return Anatomy(np.clip(grey, 0, 1), np.clip(white, 0, 1), _fitted(brain.astype(np.float32), low, high, shape) > 0.5)


def _fitted(part: np.ndarray, low: np.ndarray, high: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Return the box [low, high] of `part`, scaled alike in all directions, centred in a grid of `shape`."""
    from scipy.ndimage import gaussian_filter

    scale = float(np.max((high - low) / (np.array(shape) * (1 - 2 * MARGIN))))
    smoothed = gaussian_filter(part.astype(np.float32), max(0.0, 0.35 * (scale - 1)))
    offset = (low + high) / 2 - scale * (np.array(shape) - 1) / 2
    return affine_transform(smoothed, np.full(3, scale), cast(Any, offset), tuple(shape), order=1)
