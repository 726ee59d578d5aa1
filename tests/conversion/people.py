"""Folders of healthy stand-ins as users have them, and what may be wrong with a scan."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from nnunetv2_tf.standin.brains import Brains, healthy
from tests.workspace import HEALTHY

PEOPLE = 3


def research(size: float = 1.0) -> Brains:
    """Healthy people, scanned on a grid of their own; of a size to be."""
    return healthy(shape=(40, 46, 38), spacing=(4.4 * size, 4.3 * size, 4.5 * size))


def write_person(cohort: Brains, folder: Path, index: int) -> Path:
    """One person's scan as in a BIDS folder."""
    image, _ = cohort.draw(np.random.default_rng(index))
    path = scan_of(folder, index)
    cohort.write(image[0], path)
    return path


def scan_of(folder: Path, index: int) -> Path:
    """Where it lies."""
    return folder / f"sub-{index}" / "anat" / f"sub-{index}_T1w.nii.gz"


def made() -> Path:
    """What the command writes."""
    return HEALTHY.raw


def damage(path: Path, how: str) -> None:
    image = sitk.ReadImage(str(path))
    array = sitk.GetArrayFromImage(image).astype(np.float32)
    if how == "cut":
        path.write_bytes(path.read_bytes()[:500])
        return
    if how == "text":
        path.write_text("not a scan", encoding="utf-8")
        return
    if how == "nan":
        array[20, 20, 20] = np.nan
    changed = {
        "nan": array, "empty": array * 0, "small": array[:8], "4d": np.stack([array, array]), "2d": array[:1],
        "half": array, "normalised": np.where(array > 0, array - array[array > 0].mean(), 0),
        "infinite": np.where(array == array.max(), np.inf, array), "head": array + 1,
        "shell": np.where(ndimage.binary_erosion(array > 0, iterations=3), 0, array),
    }[how]  # fmt: skip
    result = sitk.GetImageFromArray(changed, isVector=False)
    if how == "half":
        result.SetSpacing((4.5, 4.3, 4.4))
        result = sitk.Crop(result, [0, 0, 22], [0, 0, 0])
    sitk.WriteImage(result, str(path))
