"""Pictures of a set's part. In: its builder. Out: overview.png of its first cases, preview.png of its first lines.

An overview also shows some cases that were rejected, with the reason; they are made again for it.
"""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnunetv2_tf.geometry.boxes import fullest_slice
from nnunetv2_tf.io.panels import Panel, write_panels
from nnunetv2_tf.synthesis.case_maker import edited_site
from nnunetv2_tf.synthesis.set_builder import SetBuilder
from nnunetv2_tf.synthesis.site_builder import TumourView, UnusableLineError
from nnunetv2_tf.tumours.recipe import RecipeLine
from nnunetv2_tf.working_space.stored import OpenCase

ROWS, REJECTED = 6, 3
WIDTH = 34  # letters of a line in a reason


def write_overview(builder: SetBuilder) -> Path:
    """Paint host, tumour, result, and the result with its label, in the slice in which most of the label changed."""
    path = builder.part.folder / "overview.png"
    if path.exists() and path.stat().st_mtime_ns > builder.part.manifest_path.stat().st_mtime_ns:
        return path
    first = {entry.line for entry in builder.part.manifest().accepted[:ROWS]}
    lines = builder.lines()
    rows = [list(_case(builder, line)) for line in lines if line.index in first]
    rejected = [line for line in lines if builder.rejected(line)][:REJECTED]
    write_panels([*rows, *(list(_rejected(builder, line)) for line in rejected)], path, inches=2.6)
    return path


def write_preview(builder: SetBuilder) -> Path | None:
    """Paint host and tumour of lines, in the slice with most of the tumour; nothing where none can be used."""
    path = builder.part.folder / "preview.png"
    rows = []
    for line in builder.lines()[:ROWS]:
        try:
            view = _view(builder, line)
        except UnusableLineError:
            continue
        slice_ = fullest_slice(view.shown.tumour > 0)
        rows.append([view.host_panel(slice_), view.shown_panel(slice_)])
    if not rows:
        return None
    write_panels(rows, path, inches=2.6)
    return path


@dataclass(frozen=True)
class _View:
    """A host and its tumour, before anything is made of them."""

    host: OpenCase
    organ: np.ndarray  # (Z, Y, X) bool
    image: np.ndarray  # (Z, Y, X), first channel
    shown: TumourView
    span: tuple[float, float]

    def panel(
        self, image: np.ndarray, where: np.ndarray, slice_: int, title: str = "", outline: np.ndarray | None = None
    ) -> Panel:
        """Return the picture of a slice, black outside `where`."""
        upright = self.host.grid.upright
        picture = np.where(where[slice_], image[slice_], self.span[0])
        return Panel(upright(picture), self.span, None if outline is None else upright(outline[slice_]), title)

    def host_panel(self, slice_: int) -> Panel:
        """Return the picture of the host as it was."""
        return self.panel(self.image, self.organ, slice_, f"host {self.host.identifier}")

    def shown_panel(self, slice_: int) -> Panel:
        """Return the picture of where the tumour comes from, or goes."""
        shown = self.shown
        return self.panel(shown.image[0], shown.organ, slice_, shown.title, shown.tumour)


def _view(builder: SetBuilder, line: RecipeLine) -> _View:
    host = builder.hosts.cases[line.host].open()
    organ, image = host.organ() | (host.tumour() > 0), host.image()[0]
    if not organ.any():
        raise UnusableLineError(f"{line.host} has no organ")
    values = image[organ]
    span = (float(np.quantile(values, 0.002)) - 0.1, float(np.quantile(values, 0.998)))
    return _View(host, organ, image, builder.hosts.site_builder(line).view(host), span)


def _case(builder: SetBuilder, line: RecipeLine) -> Iterator[Panel]:
    view, result = _view(builder, line), builder.made_case(line).open()
    after, label, organ = result.image()[0], result.label(), result.organ()
    assert label.shape == view.organ.shape  # no edit changes what nnU-Net crops to
    changed = label != view.host.label()
    slice_ = fullest_slice(changed if changed.any() else view.shown.tumour > 0)
    yield view.host_panel(slice_)
    yield view.shown_panel(slice_)
    yield view.panel(after, organ, slice_, result.identifier)
    yield view.panel(after, organ, slice_, "", label)


def _rejected(builder: SetBuilder, line: RecipeLine) -> Iterator[Panel]:
    view, task = _view(builder, line), builder.task(line)
    _, edited = edited_site(task, view.host)
    after, tumour = edited.image[0].numpy(), view.shown.tumour
    slice_ = fullest_slice(tumour > 0)
    reason = textwrap.fill(f"rejected: {builder.rejected(line)}", WIDTH)
    yield view.host_panel(slice_)
    yield view.shown_panel(slice_)
    yield view.panel(after, view.organ, slice_, reason)
    yield view.panel(after, view.organ, slice_, "", edited.label.numpy())
