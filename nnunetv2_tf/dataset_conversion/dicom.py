"""DICOM series as volumes. In: a folder with the slices of one series. Out: voxels and geometry, no patient."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunetv2_tf.errors import UserError

POSITION, ORIENTATION = "0020|0032", "0020|0037"
UNEVEN = 0.05  # of the distance between slices


def read_series(folder: Path) -> sitk.Image:
    """The volume of the one series in a folder, slices in the order of their places."""
    series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if not series:
        raise UserError(f"{folder} holds no DICOM series; replace it, or leave it out.")
    if len(series) > 1:
        raise UserError(f"{folder} holds {len(series)} DICOM series; give each a folder of its own.")
    files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series[0])
    refuse_gaps(folder, files)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(files)
    try:
        image = reader.Execute()
    except RuntimeError:
        raise UserError(f"{folder}: a slice cannot be read or has another size than the others; replace it.") from None
    for key in image.GetMetaDataKeys():
        image.EraseMetaData(key)
    return image


def refuse_gaps(folder: Path, files: Sequence[str]) -> None:
    """Raises when a slice is missing, or lies where another one does; ITK would only warn."""
    places = []
    for file in files:
        reader = sitk.ImageFileReader()
        reader.SetFileName(file)
        try:
            reader.ReadImageInformation()
            position = [float(number) for number in reader.GetMetaData(POSITION).split("\\")]
            along = [float(number) for number in reader.GetMetaData(ORIENTATION).split("\\")]
        except RuntimeError:
            raise UserError(f"{file} cannot be read as an image slice; replace it, or leave {folder} out.") from None
        places.append(float(np.cross(along[:3], along[3:]) @ position))
    if len(places) < 2:
        raise UserError(f"{folder} holds one slice, and a volume has more; replace it, or leave it out.")
    steps = np.abs(np.diff(places))
    usual = float(np.median(steps))
    if usual == 0 or np.abs(steps - usual).max() > UNEVEN * usual:
        raise UserError(f"{folder} lacks slices or has some twice (steps of {steps.min():g} to {steps.max():g} mm).")
