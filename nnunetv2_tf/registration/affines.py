"""Affines from a reference to real scans. In: a dataset and its reference. Out: one affine per case, kept on disk.

BraTS scans share one grid, and need none. In other datasets each scan is registered to the reference; the images stay
as they are, and the affine is used only to locate tumours. Points are ITK's: x to the left, y to the back.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from nnunetv2_tf.dataset.cases import CaseFiles, case_digest, raw_cases
from nnunetv2_tf.dataset.folders import PREPARATION, Dataset
from nnunetv2_tf.dataset.volumes import grid_of, read_scan, same_grid
from nnunetv2_tf.io.arguments import Fold
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.io.parallel import in_parallel
from nnunetv2_tf.registration.reference import ORIENTATION, Reference, check_skull_stripped, reference_file
from nnunetv2_tf.registration.register import matrix_of, register

CONVERT = "run nnUNetv2_tf_convert_healthy again."
AGAIN = "delete it and run nnUNetv2_tf_convert_healthy again."


def affines_file(dataset: Dataset, fold: Fold | None) -> Path:
    """Return nnUNet_preprocessed/Dataset501_X/tf/affines.json, or affines_fold_0.json: one for each reference."""
    return dataset.preprocessed / "tf" / f"affines{'' if fold is None else f'_fold_{fold}'}.json"


def write_affines(dataset: Dataset, fold: Fold | None, reference: Reference, num_processes: int) -> None:
    """Register scans to the reference, except those on its grid; affines that are still valid are kept."""
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

    matrices = in_parallel(
        partial(_affine, reference.image), missing, num_processes, "Laying real scans upon the reference"
    )
    for case, numbers in zip(missing, matrices, strict=True):
        affines[case.identifier] = {"scan": digests[case.identifier], "affine": list(numbers)}
        write(complete=False)
    write(complete=True)


def _read(path: Path) -> dict[str, tuple[np.ndarray, str]]:
    """Read, by case, the matrix that takes points of the reference to points of the scan, and the scan's digest."""
    value = read_json(path, "run nnUNetv2_tf_convert_healthy with this dataset as -reference.")
    try:
        if not value["complete"]:
            raise UserError(f"{path} is not complete yet; run nnUNetv2_tf_convert_healthy again.")
        affines = {
            name: (np.array(entry["affine"], float).reshape(4, 4), str(entry["scan"]))
            for name, entry in value["affines"].items()
        }
        if all(np.isfinite(affine).all() and abs(np.linalg.det(affine)) > 0 for affine, _ in affines.values()):
            return affines
    except (AttributeError, KeyError, TypeError, ValueError):
        pass
    raise UserError(f"{path} does not hold one affine of 16 numbers per case; {AGAIN}")


def ways_to_scans(dataset: Dataset, healthy: Dataset, files: Mapping[str, CaseFiles]) -> dict[str, np.ndarray]:
    """Return, by real case, the affine from the space of the healthy scans to the scan; identity for cases left out.

    Healthy scans that were registered to this dataset's reference lie in its space. All others, and datasets that were
    made by other means, are taken to share the millimetres of the real scans.

    Args:
        dataset: of the real cases
        healthy: of the healthy ones
        files: the real cases to look at, by identifier
    """
    order = _laid_upon(dataset, healthy)
    if order is None:
        return {}
    fold = order.get("fold")
    affines = _read(affines_file(dataset, fold))
    grid = sitk.DICOMOrient(grid_of(reference_file(dataset, fold)), ORIENTATION)
    for name, case in files.items():
        if name not in affines and not _on_grid(case, grid):
            raise UserError(f"Nobody has laid {case.images[0]} upon the reference of {healthy.name} yet; {CONVERT}")
        if name in affines and affines[name][1] != case_digest(case):
            raise UserError(f"The files of {name} have changed since they were laid upon the reference; {CONVERT}")
    return {name: affine for name, (affine, _) in affines.items()}


def check_shares_space(dataset: Dataset, healthy: Dataset, others: Dataset) -> None:
    """Raise when other scans, for which there are no affines, may not lie where healthy ones do.

    Args:
        dataset: of the real cases
        healthy: of the healthy scans
        others: of the others
    """
    order, other_order = _laid_upon(dataset, healthy), _laid_upon(dataset, others)
    if order is None or (other_order is not None and other_order.get("fold") == order.get("fold")):
        return
    grid = sitk.DICOMOrient(grid_of(reference_file(dataset, order.get("fold"))), ORIENTATION)
    for case in raw_cases(others).values():
        if not _on_grid(case, grid):
            raise UserError(
                f"{case.images[0]} does not lie upon the reference of {healthy.name}; convert {others.name} with "
                f"nnUNetv2_tf_convert_healthy -reference {dataset.number}, as the healthy scans."
            )


def _laid_upon(dataset: Dataset, healthy: Dataset) -> dict[str, Any] | None:
    """Return how scans were laid upon a dataset's reference; None where they were not."""
    path = healthy.raw / PREPARATION
    if not path.exists():
        return None
    order = read_json(path, CONVERT)
    if not isinstance(order, dict):
        raise UserError(f"{path} does not say how the scans were made; {CONVERT}")
    return order if dataset.is_called(str(order.get("reference"))) else None


def _on_grid(case: CaseFiles, grid: sitk.Image) -> bool:
    """Return whether a scan has a grid's voxels in the same places, in whatever orientation it is stored."""
    return same_grid(sitk.DICOMOrient(grid_of(case.images[0]), ORIENTATION), grid)


def _affine(reference: sitk.Image, case: CaseFiles) -> tuple[float, ...]:
    scan = read_scan(case.images[0])
    check_skull_stripped(case.images[0], scan)
    return matrix_of(register(scan, reference).transform)
