"""Where each real scan lies in the space of the cohort. In: a dataset. Out: one affine per case, kept on disk.

BraTS scans share one grid, and need none. Of other datasets each scan is laid upon the reference; the images stay as
they are, only what asks where a tumour lies goes through the affine.
"""

from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunetv2_tf.cases import CaseFiles, case_digest, raw_cases
from nnunetv2_tf.errors import UserError
from nnunetv2_tf.folders import Dataset
from nnunetv2_tf.preparation.reference import Reference, grid_of, read_scan, refuse_head, same_grid
from nnunetv2_tf.preparation.registration import numbers_of, register
from nnunetv2_tf.work import in_parallel, read_json, write_json

FILE = "affines.json"
AGAIN = "delete it, and it is made again."


def affines_file(dataset: Dataset) -> Path:
    """nnUNet_preprocessed/Dataset501_X/tf/affines.json; there is none where all scans share one grid."""
    return dataset.preprocessed / "tf" / FILE


def write_affines(dataset: Dataset, reference: Reference, num_processes: int) -> int:
    """Lays every scan that is not on the reference's grid upon the reference; returns how many were missing."""
    path = affines_file(dataset)
    kept = read_json(path, AGAIN) if path.exists() else {}
    affines = dict(kept.get("affines", {})) if kept.get("reference") == reference.source else {}
    cases = [case for case in raw_cases(dataset).values() if not _on_grid(case, reference)]
    digests = {case.identifier: case_digest(case) for case in cases}
    affines = {name: entry for name, entry in affines.items() if digests.get(name) == entry["scan"]}
    missing = [case for case in cases if case.identifier not in affines]
    found = in_parallel(
        partial(_affine, reference.image), missing, num_processes, "Laying real scans upon the reference"
    )
    for case, numbers in zip(missing, found, strict=True):
        affines[case.identifier] = {"scan": digests[case.identifier], "affine": numbers}
        write_json(path, {"reference": reference.source, "affines": dict(sorted(affines.items()))})
    if not affines:
        path.unlink(missing_ok=True)
    return len(missing)


def read_affines(dataset: Dataset) -> dict[str, np.ndarray]:
    """By case, the matrix (4, 4) that takes points of the reference to points of the scan; identity if not there."""
    path = affines_file(dataset)
    if not path.exists():
        return {}
    try:
        entries = read_json(path, AGAIN)["affines"]
        return {name: np.reshape(entry["affine"], (4, 4)) for name, entry in entries.items()}
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{path} does not hold one affine of 16 numbers per case; {AGAIN}") from None


def _on_grid(case: CaseFiles, reference: Reference) -> bool:
    return same_grid(grid_of(case.images[0]), reference.image)


def _affine(reference: sitk.Image, case: CaseFiles) -> tuple[float, ...]:
    scan = read_scan(case.images[0])
    refuse_head(case.images[0], scan)
    return numbers_of(register(scan, reference).transform)
