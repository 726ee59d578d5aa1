"""Skull stripping. In: a scan. Out: its brain as a mask on the scan's own grid.

A scan counts as stripped when much of it is exactly 0, what is left has the size of a brain, and no side of the volume
cuts through much of it: heads are larger, and necks are cut. deepbet works offline; HD-BET and SynthStrip are called
where they are installed.
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

from nnunetv2_tf.io.errors import UserError

Stripper = Literal["auto", "deepbet", "hdbet", "synthstrip", "none"]
STRIPPED_ZEROS = 0.3  # at least this share of a stripped scan is exactly 0, even if it is cropped to the brain
STRIPPED_SIDE = 0.85  # and at least this share of each of the six sides of its volume
LARGEST_ML = 2300.0  # a brain is not larger, with the CSF around it
CURES = {
    "deepbet": "pip install 'nnunetv2_tf[skullstrip]'",
    "hdbet": "pip install 'nnunetv2_tf[hdbet]'; it fetches its weights on first use",
    "synthstrip": "install FreeSurfer 7.3 or newer, or put mri_synthstrip into PATH",
}
_COMMANDS = {"hdbet": "hd-bet", "synthstrip": "mri_synthstrip"}


def check_installed(how: Stripper) -> None:
    """Raise when a skull stripper is not installed."""
    if how in _COMMANDS:
        installed = shutil.which(_COMMANDS[how]) is not None
    else:
        installed = how == "none" or importlib.util.find_spec("deepbet") is not None
    if not installed:
        name = "deepbet" if how == "auto" else how
        raise UserError(f"-strip {how} needs {name}, which is not installed: {CURES[name]} (or choose another -strip).")


def is_stripped(image: sitk.Image) -> bool:
    """Return whether a scan shows a brain without its head."""
    return _bare_brain(image) is not None


def brain_mask(image: sitk.Image, how: Stripper) -> sitk.Image:
    """Return the brain of a scan, as a mask of uint8 on the scan's grid."""
    mask = _bare_brain(image) if how in ("auto", "none") else None
    if mask is None and how == "none":
        raise UserError("it shows more than a brain on a background of 0, or not all of it; leave -strip none out")
    if mask is None:
        check_installed(how)
        with tempfile.TemporaryDirectory() as folder:
            mask = _stripped(image, "deepbet" if how == "auto" else how, Path(folder))
    if not mask.any():
        raise UserError("no brain is found in it")
    result = sitk.GetImageFromArray(mask.astype(np.uint8))
    result.CopyInformation(image)
    return result


def _bare_brain(image: sitk.Image) -> np.ndarray | None:
    """Return the brain of a stripped scan, (Z, Y, X) bool; None when it shows a head, or only a part of a brain."""
    array = sitk.GetArrayViewFromImage(image)
    if (array == 0).mean() < STRIPPED_ZEROS:
        return None
    if min(float((array[side] == 0).mean()) for side in _sides(array.ndim)) < STRIPPED_SIDE:
        return None
    mask = _whole(array != 0)
    millilitres = float(mask.sum()) * float(np.prod(image.GetSpacing())) / 1000
    return mask if millilitres <= LARGEST_ML else None


def _sides(dimensions: int) -> list[tuple[Any, ...]]:
    """Return the indices of the first and the last slice along each axis."""
    everything = slice(None)
    return [
        tuple(side if axis == across else everything for axis in range(dimensions))
        for across in range(dimensions)
        for side in (0, -1)
    ]


def _whole(mask: np.ndarray) -> np.ndarray:
    """Return the largest connected piece of a mask, its holes filled."""
    pieces, number = ndimage.label(mask)  # type: ignore[misc]
    if number > 1:
        mask = pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    return np.asarray(ndimage.binary_fill_holes(mask))


def _stripped(image: sitk.Image, how: str, folder: Path) -> np.ndarray:
    """Run a skull stripper on a NIfTI file, which all of them read; return the mask (Z, Y, X)."""
    scan, mask = folder / "scan.nii.gz", folder / "mask.nii.gz"
    sitk.WriteImage(image, str(scan))
    if how == "deepbet":
        try:
            _, brain, _ = _deepbet().run(nibabel.load(scan))  # type: ignore[attr-defined]
        except Exception as error:  # deepbet raises AssertionError for what looks like no head
            raise UserError(f"deepbet finds no brain in it ({error or type(error).__name__})") from None
        nibabel.save(brain, mask)  # type: ignore[attr-defined]
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
