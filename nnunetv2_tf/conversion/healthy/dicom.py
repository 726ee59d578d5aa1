"""DICOM series as volumes. In: a folder with the slices of one series. Out: voxels and geometry, no patient."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunetv2_tf.io.errors import UserError

POSITION, ORIENTATION, ECHO, FRAMES = "0020|0032", "0020|0037", "0018|0081", "0028|0008"
UNEVEN = 0.05  # of the distance between slices
Slice = tuple[float, str, float]  # place along the normal in mm, file, echo time in ms
LATE, EARLY = ("t2w", "t2"), ("pdw", "pd")  # which of several echoes in one series these channels are


def read_series(folder: Path, channel: str = "") -> sitk.Image:
    """Read the volume of the one series in a folder, slices in the order of their places.

    Args:
        folder: with the slices
        channel: of several echoes T2-weighted channels are the last, proton density is the first
    """
    series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if not series:
        raise UserError(f"{folder} holds no DICOM series; replace it, or leave it out.")
    if len(series) > 1:
        raise UserError(f"{folder} holds {len(series)} DICOM series; give each a folder of its own.")
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series[0])
    slices = sorted(_one_echo(folder, [_read_header(folder, name) for name in names], channel))
    check_no_gaps(folder, [place for place, _, _ in slices])
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([file for _, file, _ in slices])
    try:
        image = reader.Execute()
    except RuntimeError:
        raise UserError(f"{folder}: a slice cannot be read or has another size than the others; replace it.") from None
    for key in image.GetMetaDataKeys():
        image.EraseMetaData(key)
    return image


def check_no_gaps(folder: Path, places: Sequence[float]) -> None:
    """Raise when a slice is missing, or lies where another one does; ITK would only warn. `places` in mm, sorted."""
    if len(places) < 2:
        raise UserError(f"{folder} holds one slice, and a volume has more; replace it, or leave it out.")
    steps = np.diff(places)
    usual = float(np.median(steps))
    if usual == 0 or np.abs(steps - usual).max() > UNEVEN * usual:
        raise UserError(f"{folder} lacks slices or has some twice (steps of {steps.min():g} to {steps.max():g} mm).")


def _one_echo(folder: Path, slices: Sequence[Slice], channel: str) -> list[Slice]:
    """Return the slices of the echo that a channel is, where a series holds more than one echo."""
    echoes = sorted({echo for _, _, echo in slices})
    if len(echoes) > 1 and channel.lower() not in (*LATE, *EARLY):
        times = ", ".join(f"{echo:g}" for echo in echoes)
        raise UserError(f"{folder} holds echoes of {times} ms in one series; give the one you mean its own folder.")
    wanted = echoes[-1] if channel.lower() in LATE else echoes[0]
    return [entry for entry in slices if entry[2] == wanted]


def _read_header(folder: Path, file: str) -> Slice:
    reader = sitk.ImageFileReader()
    reader.SetFileName(file)
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        raise UserError(f"{file} cannot be read as an image slice; replace it, or leave {folder} out.") from None

    def numbers(key: str) -> list[float]:
        return [float(number) for number in reader.GetMetaData(key).split("\\") if number.strip()]

    try:
        frames, echo = (numbers(key) if reader.HasMetaDataKey(key) else [] for key in (FRAMES, ECHO))
        if frames and frames[0] > 1:
            raise UserError(f"{file} holds a whole volume (enhanced DICOM); convert it to NIfTI first, with dcm2niix.")
        along, position = numbers(ORIENTATION), numbers(POSITION)
        return float(np.cross(along[:3], along[3:]) @ position), file, echo[0] if echo else 0.0
    except (RuntimeError, ValueError):
        raise UserError(f"{file} does not say where its slice lies; replace it, or leave {folder} out.") from None
