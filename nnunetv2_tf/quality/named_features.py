"""Tumours in named figures, as one would describe them. In: an example. Out: figures by name."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.ndimage import gaussian_filter

from nnunetv2_tf.quality.boundary import boundary_gradient
from nnunetv2_tf.quality.examples import Example

NEAR = 3.0  # mm on either side of the surface
FEWEST = 10  # voxels of a class
FINE, COARSE = 1.0, 2.0  # standard deviations, in voxels, between which detail is told from texture
PROFILE = np.arange(-8.0, 10.1, 2.0)  # mm, edges of the bins of depth; inside is negative


def named_features(example: Example, classes: Sequence[int], channels: Sequence[str]) -> dict[str, float]:
    """Return the figures of one tumour; nan where there is too little of what they are of."""
    figures = {"compactness": _compactness(example)}
    for channel, image in zip(channels, example.image, strict=True):
        for name, value in _of_channel(image, example, classes).items():
            figures[f"{name} {channel}" if len(channels) > 1 else name] = value
    return figures


def profile(image: np.ndarray, example: Example) -> np.ndarray:
    """Return (B,): mean brightness by depth, from inside to outside; nan where no voxel is so deep."""
    bins = np.digitize(example.depth, PROFILE) - 1
    means = np.full(len(PROFILE) - 1, np.nan)
    for index in range(len(means)):
        where = (bins == index) & example.organ
        if where.any():
            means[index] = image[where].mean()
    return means


def _of_channel(image: np.ndarray, example: Example, classes: Sequence[int]) -> Mapping[str, float]:
    tumour, organ, depth = example.tumour > 0, example.organ, example.depth
    figures = {}
    for value in classes:
        inside = image[(example.tumour == value) & organ]
        enough = len(inside) >= FEWEST
        figures[f"mean {value}"] = float(inside.mean()) if enough else np.nan
        figures[f"sd {value}"] = float(inside.std()) if enough else np.nan
    fine, texture = _detail(image, organ)
    ring = organ & ~tumour
    for name, where in (("inside", tumour & organ), ("around", ring)):
        values = image[where]
        enough = len(values) >= FEWEST
        figures[f"mean {name}"] = float(values.mean()) if enough else np.nan
        figures[f"sd {name}"] = float(values.std()) if enough else np.nan
        figures[f"grain {name}"] = _share(fine, image, where) if enough else np.nan
        figures[f"texture {name}"] = _share(texture, image, where) if enough else np.nan
        low, high = np.percentile(values, [5, 95]) if enough else (np.nan, np.nan)
        figures |= {f"dark {name}": float(low), f"bright {name}": float(high)}
    before, behind = (organ & (depth > -NEAR) & tumour, organ & ring & (depth <= NEAR))
    step = float(image[behind].mean() - image[before].mean()) if before.any() and behind.any() else np.nan
    gradient = boundary_gradient(image, example.tumour, organ, example.spacing)
    figures |= {"edge step": step, "edge gradient": gradient, "edge width": abs(step) / max(gradient, 1e-6)}
    return figures


def _detail(image: np.ndarray, organ: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what is finer than FINE, and what lies between FINE and COARSE; both ignore what is out of view."""
    smooth = [image]
    weight = organ.astype(np.float32)
    for sigma in (FINE, COARSE):
        inside = np.maximum(gaussian_filter(weight, sigma), 1e-3)
        smooth.append(gaussian_filter(image * weight, sigma) / inside)
    return smooth[0] - smooth[1], smooth[1] - smooth[2]


def _share(detail: np.ndarray, image: np.ndarray, where: np.ndarray) -> float:
    """Return the logarithm of detail's variance over all of it."""
    return float(np.log((detail[where].var() + 1e-6) / (image[where].var() + 1e-6)))


def _compactness(example: Example) -> float:
    """Return the surface's area over that of a ball of the same volume; faces of voxels, so a ball has about 1.5."""
    inside = example.tumour > 0
    area = 0.0
    for axis, step in enumerate(example.spacing):
        faces = np.diff(np.pad(inside, 1).astype(np.int8), axis=axis) != 0
        area += float(faces.sum()) * float(np.prod(example.spacing)) / step
    volume = example.volume_ml * 1000
    return area / float((36 * np.pi * volume**2) ** (1 / 3))
