"""What a case is on disk: one image file per channel and a label file, of an nnU-Net dataset or of any such folder."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnunetv2_tf.errors import UserError
from nnunetv2_tf.folders import Dataset
from nnunetv2_tf.stamps import digest, file_digest
from nnunetv2_tf.work import read_json, whole_file


@dataclass(frozen=True)
class CaseFiles:
    """The files of one case, images in channel order."""

    identifier: str
    images: tuple[Path, ...]
    label: Path


def dataset_json(dataset: Dataset) -> dict[str, Any]:
    """The raw dataset.json."""
    return read_json(dataset.raw / "dataset.json", "every nnU-Net dataset has one.")


def channel_names(dataset: Dataset) -> tuple[str, ...]:
    """The channels' names, in order."""
    names = dataset_json(dataset)["channel_names"]
    return tuple(names[key] for key in sorted(names, key=int))


def raw_cases(dataset: Dataset) -> dict[str, CaseFiles]:
    """The real training cases by identifier, as nnU-Net lists them (imagesTr, or the key `dataset`).

    nnU-Net's own function starts twelve processes for it, which takes a quarter of a second, and in a worker process
    half a minute.
    """
    description = dataset_json(dataset)
    if "dataset" in description:
        listed = {
            name: CaseFiles(
                name, tuple(_path(dataset, image) for image in entry["images"]), _path(dataset, entry["label"])
            )
            for name, entry in description["dataset"].items()
        }
    else:
        listed = _in_images(dataset, description["file_ending"])
    if not listed:
        raise UserError(f"{dataset.raw} holds no training case; copy the dataset's images and labels there.")
    return {name: listed[name] for name in sorted(listed)}


def _path(dataset: Dataset, entry: str) -> Path:
    """A file named in dataset.json, from the dataset's folder."""
    return Path(os.path.abspath(dataset.raw / os.path.expandvars(entry)))


def _in_images(dataset: Dataset, file_ending: str) -> dict[str, CaseFiles]:
    folder = dataset.raw / "imagesTr"
    if not folder.is_dir():
        raise UserError(f"{dataset.raw} has no folder imagesTr; copy the dataset's images there.")
    images: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        match = re.fullmatch(rf"(.+)_\d{{4}}{re.escape(file_ending)}", path.name)
        if match and path.is_file():
            images.setdefault(match[1], []).append(path)
    return {
        name: CaseFiles(name, tuple(paths), dataset.raw / "labelsTr" / f"{name}{file_ending}")
        for name, paths in images.items()
    }


def folder_cases(folder: Path, file_ending: str, channels: int) -> list[CaseFiles]:
    """The cases of any folder in nnU-Net's layout: imagesTr/<case>_0000<ending> ..., labelsTr/<case><ending>."""
    images, labels = folder / "imagesTr", folder / "labelsTr"
    for subfolder in (images, labels):
        if not subfolder.is_dir():
            raise UserError(f"{subfolder} does not exist; give a folder with imagesTr and labelsTr, as nnU-Net's.")
    cases = [
        CaseFiles(
            label.name.removesuffix(file_ending),
            channel_files(images, label.name.removesuffix(file_ending), file_ending, channels),
            label,
        )
        for label in sorted(labels.glob(f"*{file_ending}"))
    ]
    if not cases:
        raise UserError(f"{labels} holds no file ending in {file_ending}, as this dataset's do; convert them first.")
    _complete(cases, images, file_ending)
    return cases


def channel_files(images: Path, identifier: str, file_ending: str, channels: int) -> tuple[Path, ...]:
    """The image files of a case, <case>_0000<ending> and so on."""
    return tuple(images / f"{identifier}_{channel:04d}{file_ending}" for channel in range(channels))


def case_digest(case: CaseFiles) -> str:
    """The same for the same files."""
    for path in (*case.images, case.label):
        if not path.is_file():
            refuse_damaged(path)
    return digest([file_digest(path) for path in (*case.images, case.label)])


def refuse_damaged(path: Path) -> None:
    """Raises when a volume is missing, cut short, or holds NaN or infinite values.

    NIfTI files are read with nibabel for this: ITK fills a cut-off file with zeros and turns NaN into 0 silently, so
    nnU-Net's usual reader would train on the damage.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist; put it back.")
    if path.name.endswith((".nii", ".nii.gz")):
        read_nifti(path)


def read_nifti(path: Path) -> Any:
    """A NIfTI file as nibabel image, its voxels read and sound."""
    import nibabel

    try:
        image: Any = nibabel.load(path)  # type: ignore[attr-defined]
        finite = bool(np.isfinite(np.asanyarray(image.dataobj)).all())
    except Exception:  # nibabel, gzip and zlib raise what they like for a damaged file
        raise UserError(f"{path} cannot be read, it is damaged or cut short; replace it.") from None
    if not finite:
        raise UserError(f"{path} holds NaN or infinite values; replace them.")
    return image


def write_nifti(image: Any, path: Path) -> None:
    """Writes a SimpleITK image as .nii.gz, whole or not at all."""
    import SimpleITK as sitk

    with whole_file(path) as temporary:
        named = temporary.with_name(f"{temporary.name}.nii.gz")  # ITK goes by the ending
        try:
            sitk.WriteImage(image, str(named), useCompression=True, compressionLevel=1)
            named.replace(temporary)
        except RuntimeError:
            raise UserError(f"{path} could not be written; is the disk full? Make room and run this again.") from None
        finally:
            named.unlink(missing_ok=True)


def _complete(cases: Sequence[CaseFiles], images: Path, file_ending: str) -> None:
    """Every channel of every label is there, and no image besides."""
    expected = {image for case in cases for image in case.images}
    found = set(images.glob(f"*{file_ending}"))
    for missing in sorted(expected - found):
        raise UserError(f"{missing} does not exist, but its label does; add the image or take the label away.")
    for extra in sorted(found - expected):
        raise UserError(
            f"{extra} belongs to no label in {images.parent / 'labelsTr'}, or is a channel the dataset "
            "does not have; add the label or take the image away."
        )
