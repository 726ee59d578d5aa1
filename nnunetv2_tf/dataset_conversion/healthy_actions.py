"""What `nnUNetv2_tf_convert_healthy` does. In: what the user typed. Out: a dataset, a contact sheet, a summary."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunetv2_tf.arguments import Fold
from nnunetv2_tf.cases import channel_names
from nnunetv2_tf.dataset_conversion.healthy import Outcome, Request, convert_scans
from nnunetv2_tf.dataset_conversion.scans import Search, find_scans
from nnunetv2_tf.errors import UserError
from nnunetv2_tf.folders import Dataset
from nnunetv2_tf.panels import Panel, write_panels
from nnunetv2_tf.preparation.pipeline import BRIGHT
from nnunetv2_tf.preparation.reference import Reference, dataset_reference, read_reference
from nnunetv2_tf.preparation.skull_strip import How, refuse_missing
from nnunetv2_tf.work import read_json, write_json

ORDER = "preparation.json"
SHOWN = 10  # reasons on the screen
PER_ROW = 2  # cases in a row of the contact sheet


def convert_healthy(
    search: Search, number: int, name: str, reference: str, fold: Fold | None, strip: How, n4: bool,
    keep_outliers: bool, num_processes: int,
) -> int:  # fmt: skip
    """Prepares a folder of healthy scans as a dataset; returns 1 when some could not be used."""
    refuse_missing(strip)
    laid_upon, channels = _reference(reference, fold, search)
    scans, unusable = find_scans(Search(**{**vars(search), "channels": channels}))
    dataset = _claimed(number, name, reference, fold)
    request = Request(dataset, laid_upon, channels, strip, n4)
    outcomes = convert_scans(request, scans, unusable, keep_outliers, num_processes)
    used = [outcome for outcome in outcomes if outcome.status == "prepared"]
    others = [outcome for outcome in outcomes if outcome.status != "prepared"]
    if used:
        sheet = write_contact_sheet(request, outcomes)
        print(f"{dataset.raw}: {len(used)} of {len(outcomes)} scans are prepared. Look at all of them: {sheet}")
    for outcome in others[:SHOWN]:
        print(f"  {outcome.status}: {outcome.case}: {'; '.join(outcome.reasons)}")
    if len(others) > SHOWN:
        print(f"  and {len(others) - SHOWN} more")
    if others:
        print(f"All reasons: {dataset.raw / 'conversion_report.json'}; --keep_outliers uses outliers all the same.")
    if not used:
        raise UserError(f"None of the {len(outcomes)} scans in {search.folder} can be used; the reasons are above.")
    return 1 if any(outcome.status == "unusable" for outcome in outcomes) else 0


def write_contact_sheet(request: Request, outcomes: Sequence[Outcome]) -> Path:
    """Three cuts through every scan, with the reference's brain outlined: what does not fit is seen at a glance."""
    brain = request.reference.brain.astype(int)
    cells = [_cuts(sitk.GetArrayFromImage(request.reference.image), brain, request, "the reference")]
    for outcome in outcomes:
        if outcome.measures is not None:
            image = sitk.ReadImage(str(request.files(outcome.case, outcome.status == "outlier")[0]))
            title = outcome.case if outcome.status == "prepared" else f"OUTLIER {outcome.case}"
            cells.append(_cuts(sitk.GetArrayFromImage(image), brain, request, title))
    while len(cells) % PER_ROW:
        cells.append([Panel(np.zeros_like(panel.image), (0, 1)) for panel in cells[0]])
    rows = [list(chain(*cells[start : start + PER_ROW])) for start in range(0, len(cells), PER_ROW)]
    path = request.dataset.raw / "contact_sheet.png"
    write_panels(rows, path, inches=1.6)
    return path


def _cuts(array: np.ndarray, brain: np.ndarray, request: Request, title: str) -> list[Panel]:
    """Axial, coronal and sagittal, through the middle of the reference's brain; each as (rows, columns)."""
    upright = _turned(array, request), _turned(brain, request)
    z, y, x = (round(float(place)) for place in np.argwhere(upright[1]).mean(axis=0))
    shown = [
        (z, slice(None), slice(None)),
        (slice(None), y, slice(None)),
        (slice(None), slice(None), x - array.shape[2] // 12),
    ]
    return [
        Panel(upright[0][cut], (0, BRIGHT * 1.1), upright[1][cut], title if index == 0 else "")
        for index, cut in enumerate(shown)
    ]


def _turned(array: np.ndarray, request: Request) -> np.ndarray:
    """Axes so that rows go from front to back, or from top to bottom."""
    image = sitk.GetImageFromArray(array)
    image.CopyInformation(request.reference.image)
    return sitk.GetArrayFromImage(sitk.DICOMOrient(image, "LPI"))


def _reference(text: str, fold: Fold | None, search: Search) -> tuple[Reference, tuple[str, ...]]:
    path = Path(text)
    if text.endswith((".nii", ".nii.gz")):
        if fold is not None:
            raise UserError("-f goes with a dataset as -reference, of whose cases the fold is; leave it out.")
        return read_reference(path), tuple(search.called) or ("t1n",)
    dataset = Dataset.find(text)
    return dataset_reference(dataset, fold), channel_names(dataset)


def _claimed(number: int, name: str, reference: str, fold: Fold | None) -> Dataset:
    """A new dataset, or one that the same command began."""
    dataset = Dataset(f"Dataset{number:03d}_{name}")
    order = {"reference": reference, "fold": fold}
    if (dataset.raw / ORDER).exists():
        begun = read_json(dataset.raw / ORDER, "delete the dataset and convert it again.")
        if begun != order:
            raise UserError(f"{dataset.raw} was begun with {begun}, not {order}; take another -d, or delete it first.")
        return dataset
    dataset = Dataset.new(number, name)
    write_json(dataset.raw / ORDER, order)
    return dataset
