"""Predictions in the numbering of a BraTS release, to be handed in there. In: a request. Out: a folder of label files.

The predictions are those of a model that was trained on a converted dataset.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import nibabel
import numpy as np

from nnunetv2_tf.conversion.brats.labels import OURS, SOURCES, from_ours, source_named
from nnunetv2_tf.dataset.volumes import read_nifti
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import put_in_place, scratch_folder
from nnunetv2_tf.io.parallel import in_parallel


@dataclass(frozen=True)
class RelabelRequest:
    """What nnUNetv2_tf_convert_brats --back is asked for."""

    predictions: Path
    output: Path
    source: str  # as typed
    num_processes: int = 1


def turn_back(request: RelabelRequest) -> int:
    """Write every label file of a folder in a source's numbering; return how many. All of them, or none."""
    source, output = source_named(request.source), request.output
    files = sorted(request.predictions.glob("*.nii.gz"))
    if not files:
        raise UserError(f"{request.predictions} holds no .nii.gz file; give the folder nnUNetv2_predict wrote.")
    if output.exists() and any(output.iterdir()):
        raise UserError(f"{output} is not empty; name a new folder for -o.")
    with scratch_folder(output.with_name(f".{output.name}.converting")) as scratch:
        list(in_parallel(partial(_turn_back, scratch, source), files, request.num_processes, "Converting"))
        if output.exists():
            output.rmdir()
        put_in_place(scratch, output)
    return len(files)


def _turn_back(folder: Path, source: str, path: Path) -> None:
    image = read_nifti(path)
    try:
        label = from_ours(np.asanyarray(image.dataobj), SOURCES[source])
    except ValueError as error:
        known = ", ".join(f"{value} {name}" for name, value in OURS.items())
        raise UserError(
            f"{path} holds {error}, for which {source} has no number (converted datasets have {known}); check -source."
        ) from None
    header = image.header.copy()
    header.set_data_dtype(np.uint8)
    header.set_slope_inter(1, 0)
    nibabel.save(nibabel.Nifti1Image(label, image.affine, header), folder / path.name)  # type: ignore[attr-defined]
