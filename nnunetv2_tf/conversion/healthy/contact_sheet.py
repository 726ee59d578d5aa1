"""All prepared scans as pictures. In: outcomes. Out: PNG files on which a failed registration is seen at a glance."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunetv2_tf.conversion.healthy.prepare_scans import PreparationSettings, ScanOutcome
from nnunetv2_tf.io.panels import Panel, write_panels
from nnunetv2_tf.registration.pipeline import BRIGHT
from nnunetv2_tf.registration.reference import Reference

PER_ROW = 2  # scans
PER_SHEET = 96


def write_contact_sheets(settings: PreparationSettings, outcomes: Sequence[ScanOutcome]) -> list[Path]:
    """Paint three cuts through every scan and one through its other channels, the reference's brain outlined.

    Returns the files. Outliers come first, then the scans least like the reference.
    """
    for old in settings.dataset.raw.glob("contact_sheet*.png"):
        old.unlink()
    shown = sorted(
        (outcome for outcome in outcomes if outcome.measures is not None),
        key=lambda outcome: (outcome.status != "outlier", outcome.measures.after if outcome.measures else 0.0),
    )
    frame = _Frame.of(settings.reference)
    paths = []
    for start in range(0, len(shown), PER_SHEET):
        path = settings.dataset.raw / f"contact_sheet{f'_{start // PER_SHEET + 1}' if start else ''}.png"
        _write_sheet(settings, frame, shown[start : start + PER_SHEET], path)
        paths.append(path)
    return paths


@dataclass(frozen=True)
class _Frame:
    """What all scans are shown in: axes so that rows go from front to back, or from top to bottom."""

    reference: Reference
    brain: np.ndarray  # (Z, Y, X) int, turned so
    cuts: tuple[tuple[slice | int, ...], ...]  # axial, coronal, sagittal, through the middle of the brain

    @classmethod
    def of(cls, reference: Reference) -> "_Frame":
        """Return the frame of a reference: its brain, turned, and cuts through the middle of it."""
        brain = _turned(reference.brain.astype(np.uint8), reference)
        z, y, x = (round(float(place)) for place in np.argwhere(brain).mean(axis=0))
        everything = slice(None)
        beside = x - brain.shape[2] // 12
        cuts = ((z, everything, everything), (everything, y, everything), (everything, everything, beside))
        return cls(reference, brain.astype(int), cuts)

    def panels(self, channels: Sequence[np.ndarray], names: Sequence[str], title: str) -> list[Panel]:
        """Return all cuts of the first channel and the axial one of the others, each as (rows, columns)."""
        first, *others = (_turned(array, self.reference) for array in channels)
        shown = [(first, cut, "" if index else title) for index, cut in enumerate(self.cuts)]
        shown += [(array, self.cuts[0], name) for array, name in zip(others, names[1:], strict=True)]
        return [Panel(array[cut], (0, BRIGHT * 1.1), self.brain[cut], text) for array, cut, text in shown]


def _write_sheet(settings: PreparationSettings, frame: _Frame, outcomes: Sequence[ScanOutcome], path: Path) -> None:
    reference = [sitk.GetArrayFromImage(settings.reference.image)] * len(settings.channels)
    cells = [frame.panels(reference, settings.channels, "the reference")]
    for outcome in outcomes:
        files = settings.files(outcome.case, outcome.status == "outlier")[:-1]
        title = f"{'OUTLIER ' if outcome.status == 'outlier' else ''}{outcome.case}"
        if outcome.measures is not None:
            title += f"  {outcome.measures.after:.2f}"
        channels = [sitk.GetArrayFromImage(sitk.ReadImage(str(file))) for file in files]
        cells.append(frame.panels(channels, settings.channels, title))
    while len(cells) % PER_ROW:
        cells.append([Panel(np.zeros_like(panel.image), (0, 1)) for panel in cells[0]])
    rows = [list(chain(*cells[start : start + PER_ROW])) for start in range(0, len(cells), PER_ROW)]
    write_panels(rows, path, inches=1.6)


def _turned(array: np.ndarray, reference: Reference) -> np.ndarray:
    image = sitk.GetImageFromArray(array)
    image.CopyInformation(reference.image)
    return sitk.GetArrayFromImage(sitk.DICOMOrient(image, "LPI"))
