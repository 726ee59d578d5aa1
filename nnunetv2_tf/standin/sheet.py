"""A contact sheet of stand-ins: three slices through the tumour of each case, with its classes outlined."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np

from nnunetv2_tf.standin.anatomy import Kind
from nnunetv2_tf.standin.brains import Brains, healthy
from nnunetv2_tf.standin.cohort import Cohort
from nnunetv2_tf.standin.livers import Livers
from nnunetv2_tf.work import whole_file

COLOURS = ("#e41a1c", "#4daf4a", "#ffd92f")  # of the label's values 1, 2, 3


def contact_sheet(rows: Sequence[tuple[str, Cohort, int]], path: Path) -> None:
    """One row per (title, cohort, seed): the first channel, axial coronal sagittal, without and with outlines."""
    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(len(rows), 6, figsize=(12, 2.1 * len(rows)), squeeze=False, facecolor="black")
    for line, (title, cohort, seed) in zip(axes, rows, strict=True):
        image, label = cohort.draw(np.random.default_rng([seed, 0]))
        centre = _centre(label)
        top = float(np.quantile(image[0], 0.997))
        for axis in range(3):
            picture, outline = (np.take(volume, centre[axis], axis) for volume in (image[0], label))
            flip = slice(None, None, -1 if axis else 1)  # heads up in coronal and sagittal views
            for column in (2 * axis, 2 * axis + 1):
                line[column].imshow(picture[flip], cmap="gray", vmin=min(0, image.min()), vmax=top, aspect="equal")
                line[column].axis("off")
            for value, colour in enumerate(COLOURS, start=1):
                if (outline == value).any() and value < max(2, label.max()) + 1:
                    line[2 * axis + 1].contour(outline[flip] == value, levels=[0.5], colors=[colour], linewidths=0.7)
        line[0].set_title(title, color="white", fontsize=8, loc="left")
    figure.tight_layout(pad=0.3)
    with whole_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=90, facecolor="black")
    pyplot.close(figure)


def _centre(label: np.ndarray) -> np.ndarray:
    """The middle of the densest class that is not the organ."""
    value = 3 if (label == 3).any() else label.max()
    return np.round(np.argwhere(label == value).mean(0)).astype(int)


def write_sheet(path: Path, kind: Kind, shape: tuple[int, int, int], seed: int) -> None:
    """Patients in all modalities, healthy people, and the CT-like stand-in."""
    patients = [
        (f"patient, {name}, clinical scanner", Brains(shape=shape, kind=kind, channel_names=(name,)), seed + index)
        for index, name in enumerate(("t1n", "t1n", "t1c", "t2w", "t2f"))
    ]
    people = [("healthy, t1n, research scanner", healthy(shape=shape, kind=kind), seed + index) for index in range(2)]
    contact_sheet([*patients, *people, ("liver and tumour, CT", Livers(shape=(48, 64, 64)), seed)], path)
