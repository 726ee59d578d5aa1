"""All prepared scans as pictures. In: outcomes. Out: PNG files on which a failed registration is seen at a glance."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunetv2_tf.dataset_conversion.healthy import Outcome, Request
from nnunetv2_tf.panels import Panel, write_panels
from nnunetv2_tf.preparation.pipeline import BRIGHT

PER_ROW = 2  # scans
PER_SHEET = 96


def write_contact_sheets(request: Request, outcomes: Sequence[Outcome]) -> list[Path]:
    """Three cuts through every scan and one through its other channels, the reference's brain outlined.

    Outliers come first, then the scans least like the reference.
    """
    for old in request.dataset.raw.glob("contact_sheet*.png"):
        old.unlink()
    shown = sorted(
        (outcome for outcome in outcomes if outcome.measures is not None),
        key=lambda outcome: (outcome.status != "outlier", outcome.measures.after if outcome.measures else 0.0),
    )
    paths = []
    for start in range(0, len(shown), PER_SHEET):
        path = request.dataset.raw / f"contact_sheet{f'_{start // PER_SHEET + 1}' if start else ''}.png"
        _write_sheet(request, shown[start : start + PER_SHEET], path)
        paths.append(path)
    return paths


def _write_sheet(request: Request, outcomes: Sequence[Outcome], path: Path) -> None:
    cells = [_cuts([sitk.GetArrayFromImage(request.reference.image)] * len(request.channels), request, "the reference")]
    for outcome in outcomes:
        files = request.files(outcome.case, outcome.status == "outlier")[:-1]
        title = f"{'OUTLIER ' if outcome.status == 'outlier' else ''}{outcome.case}"
        if outcome.measures is not None:
            title += f"  {outcome.measures.after:.2f}"
        cells.append(_cuts([sitk.GetArrayFromImage(sitk.ReadImage(str(file))) for file in files], request, title))
    while len(cells) % PER_ROW:
        cells.append([Panel(np.zeros_like(panel.image), (0, 1)) for panel in cells[0]])
    rows = [list(chain(*cells[start : start + PER_ROW])) for start in range(0, len(cells), PER_ROW)]
    write_panels(rows, path, inches=1.6)


def _cuts(channels: Sequence[np.ndarray], request: Request, title: str) -> list[Panel]:
    """Axial, coronal and sagittal of the first channel, axial of the others; each as (rows, columns)."""
    brain = _turned(request.reference.brain.astype(np.uint8), request)
    z, y, x = (round(float(place)) for place in np.argwhere(brain).mean(axis=0))
    everything = slice(None)
    axial, coronal = (z, everything, everything), (everything, y, everything)
    sagittal = (everything, everything, x - brain.shape[2] // 12)
    first, *others = (_turned(array, request) for array in channels)
    shown = [(first, axial, title), (first, coronal, ""), (first, sagittal, "")]
    shown += [(array, axial, name) for array, name in zip(others, request.channels[1:], strict=True)]
    return [Panel(array[cut], (0, BRIGHT * 1.1), brain[cut].astype(int), text) for array, cut, text in shown]


def _turned(array: np.ndarray, request: Request) -> np.ndarray:
    """Axes so that rows go from front to back, or from top to bottom."""
    image = sitk.GetImageFromArray(array)
    image.CopyInformation(request.reference.image)
    return sitk.GetArrayFromImage(sitk.DICOMOrient(image, "LPI"))
