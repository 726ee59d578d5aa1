"""Brains without their heads. In: a scan. Out: its brain as a mask on the scan's own grid.

A scan with much exact 0 and an empty rim counts as stripped: a neck reaches the rim. deepbet works offline; HD-BET and
SynthStrip are called where they are installed.
"""

import importlib.util
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import nibabel
import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from nnunetv2_tf.errors import UserError

How = Literal["auto", "deepbet", "hdbet", "synthstrip", "none"]
STRIPPED_ZEROS = 0.3  # at least so much of a stripped scan is exactly 0, also where it is cropped to the brain
STRIPPED_RIM = 0.97  # and so much of its outermost voxels
CURES = {
    "deepbet": "pip install 'nnunetv2_tf[skullstrip]'",
    "hdbet": "pip install 'nnunetv2_tf[hdbet]'; it fetches its weights on first use",
    "synthstrip": "install FreeSurfer 7.3 or newer, or put mri_synthstrip into PATH",
}
_COMMANDS = {"hdbet": "hd-bet", "synthstrip": "mri_synthstrip"}


def refuse_missing(how: How) -> None:
    """Raises when a skull stripper is not installed."""
    if how in _COMMANDS:
        there = shutil.which(_COMMANDS[how]) is not None
    else:
        there = how == "none" or importlib.util.find_spec("deepbet") is not None
    if not there:
        name = "deepbet" if how == "auto" else how
        raise UserError(f"-strip {how} needs {name}, which is not installed: {CURES[name]} (or choose another -strip).")


def is_stripped(array: np.ndarray) -> bool:
    """Whether an array (Z, Y, X) shows a brain without its head."""
    rim = np.concatenate([array[index].ravel() for index in _faces(array.ndim)])
    return bool((array == 0).mean() >= STRIPPED_ZEROS and (rim == 0).mean() >= STRIPPED_RIM)


def brain_mask(image: sitk.Image, how: How) -> sitk.Image:
    """The brain of a scan, as uint8 on the scan's grid."""
    array = sitk.GetArrayViewFromImage(image)
    if how == "none" or (how == "auto" and is_stripped(array)):
        mask = _whole(array != 0)
    else:
        with tempfile.TemporaryDirectory() as folder:
            mask = _stripped(image, "deepbet" if how == "auto" else how, Path(folder))
    result = sitk.GetImageFromArray(mask.astype(np.uint8))
    result.CopyInformation(image)
    return result


def _faces(dimensions: int) -> list[tuple[Any, ...]]:
    everything = slice(None)
    return [
        tuple(side if axis == own else everything for axis in range(dimensions))
        for own in range(dimensions)
        for side in (0, -1)
    ]


def _whole(mask: np.ndarray) -> np.ndarray:
    """The largest piece, its holes filled."""
    pieces, number = ndimage.label(mask)  # type: ignore[misc]
    if number > 1:
        mask = pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    return np.asarray(ndimage.binary_fill_holes(mask))


def _stripped(image: sitk.Image, how: str, folder: Path) -> np.ndarray:
    """Runs a skull stripper on a file, which all of them understand; returns the mask (Z, Y, X)."""
    scan, mask = folder / "scan.nii.gz", folder / "mask.nii.gz"
    sitk.WriteImage(image, str(scan))
    if how == "deepbet":
        _, found, _ = _deepbet().run(nibabel.load(scan))  # type: ignore[attr-defined]
        nibabel.save(found, mask)  # type: ignore[attr-defined]
    elif how == "hdbet":
        output = folder / "brain.nii.gz"
        _call(
            ["hd-bet", "-i", scan, "-o", output, "--save_bet_mask", "--no_bet_image", "-device", "cpu", "--disable_tta"]
        )
        mask = folder / "brain_bet.nii.gz"
    else:
        _call(["mri_synthstrip", "-i", scan, "-m", mask])
    return sitk.GetArrayFromImage(sitk.ReadImage(str(mask))) > 0


@cache
def _deepbet() -> Any:
    from deepbet.bet import BrainExtraction  # pyright: ignore[reportMissingImports]

    return BrainExtraction(no_gpu=True)


def _call(command: Sequence[Any]) -> None:
    done = subprocess.run([str(word) for word in command], capture_output=True, encoding="utf-8", errors="replace")
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with exit code {done.returncode}: {done.stderr.strip()[-300:]}")
