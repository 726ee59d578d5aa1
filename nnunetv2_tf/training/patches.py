"""Patches of cases. In: volumes of whole cases. Out: what patches can reach of them, and patches, cut at each use."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from nnunetv2_tf.geometry.boxes import centre_of, cut, reached_by_cuts
from nnunetv2_tf.geometry.feather import distance_to
from nnunetv2_tf.io.array_files import Arrays
from nnunetv2_tf.working_space.stored import Case

JITTER = 4  # patches around a tumour are shifted from its middle by up to a fourth of their size
FINE_UP_TO = 32.0  # in half precision steps are 0.016 there; pools hold brighter cases in single precision
REAL_VOLUMES = ("image", "tumour", "body", "organ", "distance")


def real_piece(case: Case, size: Sequence[int], limit: float, whole: bool) -> dict[str, np.ndarray]:
    """Return of a case with a tumour what patches can reach: REAL_VOLUMES, and the middle of its tumour.

    Args:
        case: with a tumour
        size: of patches
        limit: mm at which distances to the tumour are clipped
        whole: patches lie anywhere, not around the tumour only
    """
    opened = case.open()
    tumour = opened.tumour()
    (image,) = compact(opened.image())
    (distance,) = compact(distance_to(tumour, opened.grid.spacing, limit))
    volumes = (image, tumour, opened.body(), opened.organ(), distance)
    return reached(dict(zip(REAL_VOLUMES, volumes, strict=True)), size, whole)


def batch_of(
    draw: Callable[[np.random.Generator], Mapping[str, np.ndarray]], number: int, stream: Sequence[int]
) -> dict[str, np.ndarray]:
    """Return a batch: so many patches, drawn by a stream of random numbers and stacked, and their `place` in it."""
    patches = [{**draw(np.random.default_rng([*stream, place])), "place": np.array(place)} for place in range(number)]
    return {name: np.stack([patch[name] for patch in patches]) for name in patches[0]}


def reached(volumes: Arrays, size: Sequence[int], whole: bool) -> dict[str, np.ndarray]:
    """Return what patches can reach of volumes, one of which is `tumour`, and `centre`, the middle of that."""
    centre = centre_of(volumes["tumour"])
    if whole:
        return {**volumes, "centre": centre}
    box = reached_by_cuts(volumes["tumour"].shape, centre, size, np.array(size) // JITTER)
    parts = {name: volume[(..., *box)] for name, volume in volumes.items()}
    return {**parts, "centre": centre - [part.start for part in box]}


def patch_of(
    piece: Arrays, names: Sequence[str], size: Sequence[int], centred: float, rng: np.random.Generator
) -> dict[str, np.ndarray]:  # fmt: skip
    """Return a patch.

    Args:
        piece: as `reached` returns it, with an `organ`
        names: of its volumes that are wanted
        size: of the patch
        centred: share of patches that lie around the tumour, the others anywhere in the organ
        rng: draws where
    """
    centre = _centre(piece, size, centred, rng)
    parts: Mapping[str, np.ndarray] = {name: cut(piece[name], centre, size) for name in names}
    return {name: part.astype(np.float32) if part.dtype.kind == "f" else part for name, part in parts.items()}


def _centre(piece: Arrays, size: Sequence[int], centred: float, rng: np.random.Generator) -> np.ndarray:
    """Return (3,): the voxel in the middle of the patch."""
    if rng.random() < centred:
        reach = np.array(size) // JITTER
        return piece["centre"] + rng.integers(-reach, reach + 1)
    places = np.flatnonzero(piece["organ"])
    return np.array(np.unravel_index(places[int(rng.integers(len(places)))], piece["organ"].shape))


def compact(*volumes: np.ndarray) -> list[np.ndarray]:
    """Return volumes in half precision where that is fine enough for all of them."""
    largest = max(float(np.abs(volume).max(initial=0)) for volume in volumes)
    return [volume.astype(np.float16 if largest <= FINE_UP_TO else np.float32) for volume in volumes]
