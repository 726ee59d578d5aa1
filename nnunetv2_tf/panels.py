"""Grey pictures in rows, with the classes of a label map outlined, as one PNG file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnunetv2_tf.work import whole_file

COLOURS = ("#e41a1c", "#4daf4a", "#ffd92f", "#377eb8")  # of the label's values 1, 2, 3, 4; then from the start again


@dataclass(frozen=True)
class Panel:
    """One picture."""

    image: np.ndarray  # (rows, columns)
    span: tuple[float, float]  # values shown black and white
    outline: np.ndarray | None = None  # (rows, columns) label whose classes are outlined
    title: str = ""


def write_panels(rows: Sequence[Sequence[Panel]], path: Path, inches: float = 2.0) -> None:
    """Writes the picture, whole or not at all; all rows have the same number of panels."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    size = (inches * len(rows[0]), 1.05 * inches * len(rows))
    figure, axes = pyplot.subplots(len(rows), len(rows[0]), figsize=size, squeeze=False, facecolor="black")
    for line, panels in zip(axes, rows, strict=True):
        for place, panel in zip(line, panels, strict=True):
            place.imshow(panel.image, cmap="gray", vmin=panel.span[0], vmax=panel.span[1], aspect="equal")
            place.axis("off")
            place.set_title(panel.title, color="white", fontsize=8, loc="left")
            for value in _classes(panel.outline):
                colour = COLOURS[(value - 1) % len(COLOURS)]
                place.contour(panel.outline == value, levels=[0.5], colors=[colour], linewidths=0.7)
    figure.tight_layout(pad=0.3)
    with whole_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=90, facecolor="black", metadata={"Software": None})
    pyplot.close(figure)


def _classes(outline: np.ndarray | None) -> list[int]:
    return [] if outline is None else [int(value) for value in np.unique(outline) if value > 0]
