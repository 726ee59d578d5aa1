"""Contact sheets of stand-ins. In: cohorts. Out: a PNG file, three slices through each tumour with classes outlined."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from nnunetv2_tf.io.panels import Panel, write_panels
from nnunetv2_tf.standin.anatomy import Kind
from nnunetv2_tf.standin.brains import Brains, healthy
from nnunetv2_tf.standin.cohort import StandinCohort
from nnunetv2_tf.standin.livers import Livers


def contact_sheet(rows: Sequence[tuple[str, StandinCohort, int]], path: Path) -> None:
    """Write one row per (title, cohort, seed): the first channel, axial coronal sagittal, without and with outlines."""
    write_panels([list(_row(*row)) for row in rows], path)


def _row(title: str, cohort: StandinCohort, seed: int) -> Iterator[Panel]:
    image, label = cohort.draw(np.random.default_rng([seed, 0]))
    centre = _centre(label)
    span = (min(0.0, float(image.min())), float(np.quantile(image[0], 0.997)))
    for axis in range(3):
        picture, outline = (np.take(volume, centre[axis], axis) for volume in (image[0], label))
        flip = slice(None, None, -1 if axis else 1)  # heads up in coronal and sagittal views
        yield Panel(picture[flip], span, title="" if axis else title)
        yield Panel(picture[flip], span, outline[flip])


def _centre(label: np.ndarray) -> np.ndarray:
    """Return the middle of enhancing tumour, or where there is none of the highest label value."""
    value = 3 if (label == 3).any() else label.max()
    return np.round(np.argwhere(label == value).mean(0)).astype(int)


def write_sheet(path: Path, kind: Kind, shape: tuple[int, int, int], seed: int) -> None:
    """Write a contact sheet of patients in all modalities, healthy people, and the CT-like stand-in."""
    patients = [
        (f"patient, {name}, clinical scanner", Brains(shape=shape, kind=kind, channel_names=(name,)), seed + index)
        for index, name in enumerate(("t1n", "t1n", "t1c", "t2w", "t2f"))
    ]
    people = [("healthy, t1n, research scanner", healthy(shape=shape, kind=kind), seed + index) for index in range(2)]
    contact_sheet([*patients, *people, ("liver and tumour, CT", Livers(shape=(48, 64, 64)), seed)], path)
