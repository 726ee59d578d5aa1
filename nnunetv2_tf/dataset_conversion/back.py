"""Predictions of a model trained on a converted dataset, in the numbering of the source they are to be handed in to."""

import os
from functools import partial
from pathlib import Path

import nibabel
import numpy as np

from nnunetv2_tf.cases import read_nifti
from nnunetv2_tf.errors import UserError
from nnunetv2_tf.labels import OURS, SOURCES, from_ours
from nnunetv2_tf.work import in_parallel, scratch_folder


def turn_back(predictions: Path, output: Path, source: str, num_processes: int) -> int:
    """Writes every label file of a folder in a source's numbering; returns how many. All of them, or none."""
    files = sorted(predictions.glob("*.nii.gz"))
    if not files:
        raise UserError(f"{predictions} holds no .nii.gz file; give the folder nnUNetv2_predict wrote.")
    if output.exists() and any(output.iterdir()):
        raise UserError(f"{output} is not empty; name a new folder for -o.")
    with scratch_folder(output.with_name(f".{output.name}.converting")) as scratch:
        list(in_parallel(partial(_turn_back, scratch, source), files, num_processes, "Converting"))
        if output.exists():
            output.rmdir()
        os.replace(scratch, output)
    return len(files)


def _turn_back(folder: Path, source: str, path: Path) -> None:
    image = read_nifti(path)
    try:
        theirs = from_ours(np.asanyarray(image.dataobj), SOURCES[source])
    except ValueError as error:
        known = ", ".join(f"{value} {name}" for name, value in OURS.items())
        raise UserError(
            f"{path} holds {error}, for which {source} has no number (converted datasets have {known}); check -source."
        ) from None
    header = image.header.copy()
    header.set_data_dtype(np.uint8)
    header.set_slope_inter(1, 0)
    nibabel.save(nibabel.Nifti1Image(theirs, image.affine, header), folder / path.name)  # type: ignore[attr-defined]
