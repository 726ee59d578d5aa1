"""overview.png of a set's part: for its first cases host, donor, result, and the result with its label."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from nnunetv2_tf.panels import Panel, write_panels
from nnunetv2_tf.preparation.stored import Case
from nnunetv2_tf.synthesis.run import Run
from nnunetv2_tf.tumours.placement import place
from nnunetv2_tf.tumours.recipe import Line

ROWS = 6


def write_overview(run: Run) -> Path:
    """Paints the first cases, first channel, in the slice in which most of the label has changed."""
    path = run.part.folder / "overview.png"
    if path.exists() and path.stat().st_mtime_ns > run.part.manifest_path.stat().st_mtime_ns:
        return path
    first = {entry.line for entry in run.part.manifest().accepted[:ROWS]}
    write_panels([list(_row(run, line)) for line in run.lines() if line.index in first], path, inches=2.6)
    return path


def _row(run: Run, line: Line) -> Iterator[Panel]:
    host, tumour = replace(run.cases[line.real_host or ""]), line.tumours[0]
    donor = place(tumour, replace(run.cases[tumour.donor]), host, with_image=True)
    result = run.made_case(line)
    assert donor.image is not None
    before, after = host.image(), result.image()
    label, organ, view = result.label(), host.organ(), _upright(host)
    assert label.shape == organ.shape  # no edit changes what nnU-Net crops to
    changed = (label != host.label()).sum(axis=(1, 2))
    slice_ = int(changed.argmax()) if changed.any() else int((donor.tumour > 0).sum(axis=(1, 2)).argmax())
    values = before[0][organ]
    span = (float(np.quantile(values, 0.002)) - 0.1, float(np.quantile(values, 0.998)))

    def panel(image: np.ndarray, where: np.ndarray, title: str = "", outline: np.ndarray | None = None) -> Panel:
        shown = np.where(where[slice_], image[0][slice_], span[0])
        return Panel(view(shown), span, None if outline is None else view(outline[slice_]), title)

    yield panel(before, organ, f"host {host.identifier}")
    yield panel(donor.image, donor.organ, f"donor {tumour.donor}", donor.tumour)
    yield panel(after, result.organ(), result.identifier)
    yield panel(after, result.organ(), "", label)


def _upright(case: Case) -> Callable[[np.ndarray], np.ndarray]:
    """Turns a slice so that the front of the body is up, for scans cut across the body."""
    forward = case.grid.affine[1, 1] * (-1 if "sitk_stuff" in case.properties else 1)
    return lambda picture: picture[::-1] if forward > 0 else picture
