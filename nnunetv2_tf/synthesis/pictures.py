"""overview.png of a set's part: its first cases; preview.png: the first lines of its recipe."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nnunetv2_tf.panels import Panel, write_panels
from nnunetv2_tf.preparation.stored import Case
from nnunetv2_tf.synthesis.run import Run
from nnunetv2_tf.synthesis.sites import Shown, Unusable
from nnunetv2_tf.tumours.recipe import Line

ROWS = 6


def write_overview(run: Run) -> Path:
    """Paints host, tumour, result, and the result with its label, in the slice in which most of the label changed."""
    path = run.part.folder / "overview.png"
    if path.exists() and path.stat().st_mtime_ns > run.part.manifest_path.stat().st_mtime_ns:
        return path
    first = {entry.line for entry in run.part.manifest().accepted[:ROWS]}
    write_panels([list(_case(run, line)) for line in run.lines() if line.index in first], path, inches=2.6)
    return path


def write_preview(run: Run) -> Path | None:
    """Paints host and tumour of lines, in the slice with most of the tumour; nothing where none can be used."""
    path = run.part.folder / "preview.png"
    rows = []
    for line in run.lines()[:ROWS]:
        try:
            view = _view(run, line)
        except Unusable:
            continue
        slice_ = _largest(view.shown.tumour > 0)
        rows.append([view.host_panel(slice_), view.shown_panel(slice_)])
    if not rows:
        return None
    write_panels(rows, path, inches=2.6)
    return path


@dataclass(frozen=True)
class _View:
    """A host and its tumour, before anything is made of them."""

    host: Case
    organ: np.ndarray  # (Z, Y, X) bool
    image: np.ndarray  # (Z, Y, X), first channel
    shown: Shown
    span: tuple[float, float]

    def panel(
        self, image: np.ndarray, where: np.ndarray, slice_: int, title: str = "", outline: np.ndarray | None = None
    ) -> Panel:
        """A slice, black outside `where`."""
        upright = _upright(self.host)
        picture = np.where(where[slice_], image[slice_], self.span[0])
        return Panel(upright(picture), self.span, None if outline is None else upright(outline[slice_]), title)

    def host_panel(self, slice_: int) -> Panel:
        """As it was."""
        return self.panel(self.image, self.organ, slice_, f"host {self.host.identifier}")

    def shown_panel(self, slice_: int) -> Panel:
        """Where the tumour comes from, or where it goes."""
        shown = self.shown
        return self.panel(shown.image[0], shown.organ, slice_, shown.title, shown.tumour)


def _view(run: Run, line: Line) -> _View:
    host = replace(run.hosts.cases[line.host])
    organ, image = host.organ(), host.image()[0]
    if not organ.any():
        raise Unusable(f"{line.host} has no organ")
    values = image[organ]
    span = (float(np.quantile(values, 0.002)) - 0.1, float(np.quantile(values, 0.998)))
    return _View(host, organ, image, run.hosts.sites(line).shown(line, host), span)


def _case(run: Run, line: Line) -> Iterator[Panel]:
    view, result = _view(run, line), run.made_case(line)
    after, label, organ = result.image()[0], result.label(), result.organ()
    assert label.shape == view.organ.shape  # no edit changes what nnU-Net crops to
    changed = label != view.host.label()
    slice_ = _largest(changed if changed.any() else view.shown.tumour > 0)
    yield view.host_panel(slice_)
    yield view.shown_panel(slice_)
    yield view.panel(after, organ, slice_, result.identifier)
    yield view.panel(after, organ, slice_, "", label)


def _largest(places: np.ndarray) -> int:
    """The slice with most of them."""
    return int(places.sum(axis=(1, 2)).argmax())


def _upright(case: Case) -> Callable[[np.ndarray], np.ndarray]:
    """Turns a slice so that the front of the body is up, for scans cut across the body."""
    to_the_back = case.grid.affine[1, 1]
    return lambda picture: picture[::-1] if to_the_back < 0 else picture
