"""Tumours that grow. In: a brain. Out: cell densities, classes, and how the tumour displaces tissue.

Cells spread along white matter and multiply (Fisher's equation). The methods of this package place, paste and refine
tumour maps; tumours of stand-in patients are made in another way, so that methods cannot learn their own results.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from nnunetv2_tf.standin.anatomy import Anatomy
from nnunetv2_tf.standin.cohort import smooth_field

EDEMA = 0.2  # cell density at which the tumour begins to be seen
ENHANCING, NECROTIC = (0.4, 0.7), (0.75, 0.95)  # these classes begin above such quantiles of the density in the tumour
DIFFUSION = {"white": 0.6, "grey": 0.1}  # voxels^2 per unit of time; none in CSF and outside the brain
UNEVEN = 1.0  # how much speed and growth differ from place to place: tumours are not round
STEP = 0.15  # units of time; below 1/6, where the scheme is stable
MAX_STEPS = 2000


@dataclass(frozen=True)
class GrownTumour:
    """Cell density in [0, 1] and its classes (1 NCR, 2 ED, 3 ET), both (Z, Y, X)."""

    density: np.ndarray
    label: np.ndarray


def grow(anatomy: Anatomy, rng: np.random.Generator) -> GrownTumour:
    """Grow a tumour somewhere in the white matter, of 1 to 6 % of the brain."""
    wanted = rng.uniform(0.01, 0.06) * anatomy.brain.sum()
    radius = (wanted / 4.2) ** (1 / 3)
    seeds = np.argwhere(gaussian_filter(anatomy.white.astype(np.float32), 1) > 0.6)
    if not len(seeds):
        seeds = np.argwhere(anatomy.white >= anatomy.white.max())
    seed = seeds[rng.integers(len(seeds))]
    reach = int(np.ceil(3 * radius + 4))
    box = tuple(slice(max(0, c - reach), c + reach + 1) for c in seed)
    passable = DIFFUSION["white"] * anatomy.white[box] + DIFFUSION["grey"] * anatomy.grey[box]
    speed, growth = (np.clip(np.exp(UNEVEN * smooth_field(rng, passable.shape, 8)), 0.15, 1.6) for _ in range(2))
    here = seed - [part.start for part in box]
    density = _spread(passable * speed * anatomy.brain[box], here, wanted, rng.uniform(0.15, 0.3) * growth)
    whole = np.zeros(anatomy.brain.shape, np.float32)
    whole[box] = density * anatomy.brain[box]
    return GrownTumour(whole, classes_of(whole, rng.uniform(*ENHANCING), rng.uniform(*NECROTIC)))


def classes_of(density: np.ndarray, enhancing: float, necrotic: float) -> np.ndarray:
    """Return classes by thresholds of density: a necrotic core in an enhancing rim in edema, uint8."""
    label = np.zeros(density.shape, np.uint8)
    inside = density > EDEMA
    label[inside] = 2
    for value, share in ((3, enhancing), (1, necrotic)):
        label[inside & (density > np.quantile(density[inside], share))] = value
    return label


def pushed_aside(tumour: GrownTumour, strength: float) -> np.ndarray:
    """Return where the tissue now at x was before the tumour pushed it, minus x: (3, Z, Y, X) in voxels."""
    width = max(1.0, ((tumour.label > 0).sum() / 4.2) ** (1 / 3) / 2)
    slope = np.stack(list(np.gradient(gaussian_filter(tumour.density, width))))
    return strength * slope / max(1e-6, float(np.abs(slope).max()))


def _spread(diffusion: np.ndarray, seed: np.ndarray, wanted: float, growth: np.ndarray) -> np.ndarray:
    """Solve du/dt = div(D grad u) + growth u (1 - u) in explicit steps, until the tumour is as large as wanted."""
    padded, growth = np.pad(diffusion.astype(np.float32), 1), np.pad(growth, 1)
    density = np.zeros_like(padded)
    z, y, x = seed + 1
    density[z - 1 : z + 2, y - 1 : y + 2, x - 1 : x + 2] = 1
    density *= padded > 0
    sides = [
        tuple((slice(None),) * axis + (part,) for part in (slice(1, None), slice(None, -1))) for axis in range(3)
    ]  # of each face between two voxels along an axis: the later one, the earlier one
    faces = [  # no cells pass into voxels in which there can be none
        (padded[later] + padded[earlier]) / 2 * ((padded[later] > 0) & (padded[earlier] > 0))
        for later, earlier in sides
    ]
    arriving = np.empty(density.shape, np.result_type(density, growth))
    for _ in range(MAX_STEPS):
        change = growth * density
        change *= 1 - density
        for (later, earlier), face in zip(sides, faces, strict=True):
            flux = density[later] - density[earlier]
            flux *= face
            arriving.fill(0)
            arriving[earlier] = flux
            arriving[later] -= flux
            change += arriving
        change *= STEP
        density = density + change
        if np.count_nonzero(density > EDEMA) >= wanted:
            break
    return density[1:-1, 1:-1, 1:-1]
