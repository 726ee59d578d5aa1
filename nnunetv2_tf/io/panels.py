"""Figures. In: rows of grey images with label maps to outline, or what a caller draws on axes. Out: one PNG file."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nnunetv2_tf.io.files import whole_file

COLOURS = ("#e41a1c", "#4daf4a", "#ffd92f", "#377eb8")  # of label values 1, 2, 3, 4; then from the start again

GAP = 0.015  # beside a panel, of the width of its column
LINE = 0.14  # inches, height of a line of a title


@dataclass(frozen=True)
class Panel:
    """One grey image of a figure."""

    image: np.ndarray  # (rows, columns)
    span: tuple[float, float]  # values shown black and white
    outline: np.ndarray | None = None  # (rows, columns) label whose classes are outlined
    title: str = ""


def outlined_row(pictures: Sequence[np.ndarray], span: tuple[float, float], outline: np.ndarray) -> list[Panel]:
    """Return a row: pictures (rows, columns), and the last one again with the outline of a label."""
    return [*(Panel(picture, span) for picture in pictures), Panel(pictures[-1], span, outline)]


def titled(rows: Sequence[Sequence[Panel]], titles: Sequence[str]) -> list[Sequence[Panel]]:
    """Return rows of which the first has titles, as many as are given."""
    first, *others = rows
    named = [replace(panel, title=title) for panel, title in zip(first, titles, strict=False)]
    return [[*named, *first[len(named) :]], *others]


def write_panels(rows: Sequence[Sequence[Panel]], path: Path, inches: float = 2.0) -> None:
    """Write rows of panels as one PNG file, whole or not at all; all rows have the same number of panels.

    All lie on one pair of axes, since each further pair takes longer than painting an image. Columns are one wide.
    """
    rooms = [LINE / inches * max(panel.title.count("\n") + bool(panel.title) for panel in panels) for panels in rows]
    heights = [max(min(1.0, panel.image.shape[0] / panel.image.shape[1]) for panel in panels) for panels in rows]
    ends = np.cumsum([room + height + 2 * GAP for room, height in zip(rooms, heights, strict=True)])
    size = (inches * len(rows[0]), inches * ends[-1])
    with written_figure(path, (1, 1), size, dpi=90, colour="black", pad=0) as axes:
        place = axes[0, 0]
        for end, height, panels in zip(ends, heights, rows, strict=True):
            for column, panel in enumerate(panels):
                _paint(place, panel, column, end - GAP - height, height)
        place.set(xlim=(0, len(rows[0])), ylim=(ends[-1], 0))
        place.axis("off")


def _paint(place: Any, panel: Panel, left: float, top: float, room: float) -> None:
    """Paint a panel into the column that begins at `left`, its title above `top`, its image below."""
    height, width = panel.image.shape
    scale = min((1 - 2 * GAP) / width, room / height)
    x, y = left + (1 - scale * width) / 2, top + (room - scale * height) / 2
    black, white = panel.span
    within = (x, x + scale * width, y + scale * height, y)
    place.imshow(panel.image, cmap="gray", vmin=black, vmax=white, extent=within, aspect="auto")
    place.text(x, y - GAP, panel.title, color="white", fontsize=8, clip_on=True)
    across, down = x + scale * (np.arange(width) + 0.5), y + scale * (np.arange(height) + 0.5)
    for value in _classes(panel.outline):
        colour = COLOURS[(value - 1) % len(COLOURS)]
        place.contour(across, down, panel.outline == value, levels=[0.5], colors=[colour], linewidths=0.7)


@contextmanager
def written_figure(
    path: Path,
    shape: tuple[int, int],
    size: tuple[float, float],
    dpi: int = 120,
    colour: str = "white",
    pad: float = 1.08,
) -> Iterator[Any]:
    """Yield the axes (rows, columns) of a figure of `size` inches, then write it as PNG, whole or not at all."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    with pyplot.style.context("default"):  # nnU-Net's own plots change the style
        figure, axes = pyplot.subplots(*shape, figsize=size, squeeze=False, facecolor=colour)
        try:
            yield axes
            figure.tight_layout(pad=pad)
            with whole_file(path) as temporary:
                figure.savefig(temporary, format="png", dpi=dpi, facecolor=colour, metadata={"Software": None})
        finally:
            pyplot.close(figure)


def _classes(outline: np.ndarray | None) -> list[int]:
    return [] if outline is None else [int(value) for value in np.unique(outline) if value > 0]
