"""Where each real scan lies in the space of the cohort. In: a dataset. Out: one affine per case, kept on disk.

BraTS scans share one grid, and need none. Of other datasets each scan is laid upon the reference; the images stay as
they are, only what asks where a tumour lies goes through the affine. Points are ITK's: x to the left, y to the back.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from nnunetv2_tf.arguments import Fold
from nnunetv2_tf.cases import CaseFiles, case_digest, raw_cases
from nnunetv2_tf.errors import UserError
from nnunetv2_tf.folders import PREPARATION, Dataset
from nnunetv2_tf.preparation.reference import (
    ORIENTATION,
    Reference,
    grid_of,
    read_scan,
    reference_file,
    refuse_head,
    same_grid,
)
from nnunetv2_tf.preparation.registration import numbers_of, register
from nnunetv2_tf.work import in_parallel, read_json, write_json

CONVERT = "run nnUNetv2_tf_convert_healthy again."
AGAIN = "delete it and run nnUNetv2_tf_convert_healthy again."


def affines_file(dataset: Dataset, fold: Fold | None) -> Path:
    """nnUNet_preprocessed/Dataset501_X/tf/affines.json, or affines_fold_0.json: one for each reference."""
    return dataset.preprocessed / "tf" / f"affines{'' if fold is None else f'_fold_{fold}'}.json"


def write_affines(dataset: Dataset, fold: Fold | None, reference: Reference, num_processes: int) -> None:
    """Lays every scan that is not on the reference's grid upon the reference; what is there and still true is kept."""
    path = affines_file(dataset, fold)
    kept = read_json(path, AGAIN) if path.exists() else {}
    grid = sitk.DICOMOrient(reference.image, ORIENTATION)
    cases = [case for case in raw_cases(dataset).values() if not _on_grid(case, grid)]
    digests = {case.identifier: case_digest(case) for case in cases}
    affines: dict[str, Any] = {}
    if kept.get("reference") == reference.source:
        affines = {name: entry for name, entry in kept["affines"].items() if digests.get(name) == entry["scan"]}
    missing = [case for case in cases if case.identifier not in affines]

    def write(complete: bool) -> None:
        value = {"reference": reference.source, "complete": complete, "affines": dict(sorted(affines.items()))}
        if value != kept:
            write_json(path, value)

    found = in_parallel(
        partial(_affine, reference.image), missing, num_processes, "Laying real scans upon the reference"
    )
    for case, numbers in zip(missing, found, strict=True):
        affines[case.identifier] = {"scan": digests[case.identifier], "affine": list(numbers)}
        write(complete=False)
    write(complete=True)


def _read(path: Path) -> dict[str, tuple[np.ndarray, str]]:
    """By case, the matrix that takes points of the reference to points of the scan, and the scan's digest."""
    value = read_json(path, "run nnUNetv2_tf_convert_healthy with this dataset as -reference.")
    try:
        if not value["complete"]:
            raise UserError(f"{path} is not complete yet; run nnUNetv2_tf_convert_healthy again.")
        found = {
            name: (np.array(entry["affine"], float).reshape(4, 4), str(entry["scan"]))
            for name, entry in value["affines"].items()
        }
        if all(np.isfinite(affine).all() and abs(np.linalg.det(affine)) > 0 for affine, _ in found.values()):
            return found
    except (AttributeError, KeyError, TypeError, ValueError):
        pass
    raise UserError(f"{path} does not hold one affine of 16 numbers per case; {AGAIN}")


def ways_to_scans(dataset: Dataset, healthy: Dataset, files: Mapping[str, CaseFiles]) -> dict[str, np.ndarray]:
    """By real case, the way from the space in which healthy scans lie; identity if not there.

    Healthy scans that were laid upon this dataset lie in the space of its reference. Of all others, and of datasets
    that were made by other means, it is taken for granted that they share the real scans' millimetres.

    Args:
        dataset: of the real cases
        healthy: of the healthy ones
        files: the real cases in question
    """
    path = healthy.raw / PREPARATION
    if not path.exists():
        return {}
    order, number = read_json(path, CONVERT), dataset.name[7:10]
    if not isinstance(order, dict):
        raise UserError(f"{path} does not say how the scans were made; {CONVERT}")
    if str(order.get("reference")) not in (dataset.name, number, str(int(number))):
        return {}
    fold = order.get("fold")
    found = _read(affines_file(dataset, fold))
    grid = sitk.DICOMOrient(grid_of(reference_file(dataset, fold)), ORIENTATION)
    for name, case in files.items():
        if name not in found and not _on_grid(case, grid):
            raise UserError(f"Nobody has laid {case.images[0]} upon the reference of {healthy.name} yet; {CONVERT}")
        if name in found and found[name][1] != case_digest(case):
            raise UserError(f"The files of {name} have changed since they were laid upon the reference; {CONVERT}")
    return {name: affine for name, (affine, _) in found.items()}


def _on_grid(case: CaseFiles, grid: sitk.Image) -> bool:
    """Whether a scan has a grid's voxels in the same places, however they are stored."""
    return same_grid(sitk.DICOMOrient(grid_of(case.images[0]), ORIENTATION), grid)


def _affine(reference: sitk.Image, case: CaseFiles) -> tuple[float, ...]:
    scan = read_scan(case.images[0])
    refuse_head(case.images[0], scan)
    return numbers_of(register(scan, reference).transform)
