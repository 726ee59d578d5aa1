"""Cases as files. In: an nnU-Net dataset, or a folder laid out like one. Out: its cases' image and label files."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.volumes import check_intact
from nnunetv2_tf.io.digests import digest, file_digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import is_one_name, read_json


@dataclass(frozen=True)
class CaseFiles:
    """The files of one case, images in channel order."""

    identifier: str
    images: tuple[Path, ...]
    label: Path


def dataset_json(dataset: Dataset) -> dict[str, Any]:
    """Read the raw dataset.json; raise when it lacks what every dataset of nnU-Net's has."""
    path = dataset.raw / "dataset.json"
    description = read_json(path, "every nnU-Net dataset has one.")
    wrong = _wrong_in(description)
    if wrong:
        raise UserError(f"{path}: {wrong}; correct it, as nnU-Net's documentation describes it.")
    return description


def _wrong_in(description: Any) -> str:
    """Return half a sentence about what is wrong with a dataset.json; empty where nothing is."""
    if not isinstance(description, dict):
        return "it must be an object"
    channels, cases = description.get("channel_names"), description.get("dataset", {})
    if not isinstance(channels, dict) or set(channels) != {str(number) for number in range(len(channels))}:
        return "channel_names must be an object with the keys 0, 1, ..."
    if not isinstance(description.get("labels"), dict):
        return "labels must be an object"
    ending = description.get("file_ending")
    if not isinstance(ending, str) or not ending.startswith("."):
        return "file_ending must be a text like .nii.gz"
    if not isinstance(cases, dict):
        return "dataset must be an object"
    return next(
        (f"dataset: {name!r} {wrong}" for name, entry in cases.items() if (wrong := _wrong_case(name, entry))), ""
    )


def _wrong_case(name: str, entry: Any) -> str:
    """Return what is wrong with a case that dataset.json lists; empty where nothing is."""
    if not is_one_name(name):
        return "cannot be the name of a file"
    images = entry.get("images") if isinstance(entry, dict) else None
    if not isinstance(images, list) or not images or not all(isinstance(image, str) for image in images):
        return "must have a list of images"
    return "" if isinstance(entry.get("label"), str) else "must have a label"


def says_of_itself(dataset: Dataset, name: str) -> bool:
    """Return whether dataset.json says so under our key `tf`: `n4` (its bias field is corrected), `unlabelled`."""
    described = dataset_json(dataset).get("tf")
    return isinstance(described, dict) and bool(described.get(name))


def channel_names(dataset: Dataset) -> tuple[str, ...]:
    """Return the channels' names, in order."""
    names = dataset_json(dataset)["channel_names"]
    return tuple(names[key] for key in sorted(names, key=int))


def channel_index(dataset: Dataset, name: str | None) -> int:
    """Return the number of a channel; None: the first one's. Raises for a name that is none of them."""
    names = channel_names(dataset)
    if name is None:
        return 0
    if name not in names:
        raise UserError(f"{dataset.name} has no channel {name}; it has {', '.join(names)}.")
    return names.index(name)


def raw_cases(dataset: Dataset) -> dict[str, CaseFiles]:
    """Return the real training cases by identifier, as nnU-Net lists them (imagesTr, or the key `dataset`).

    nnU-Net's own function for this starts twelve processes, which takes a quarter of a second, and half a minute in a
    worker process.
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
    """Return the absolute path of a file that dataset.json names, relative to the dataset's folder."""
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
    """Return the cases of any folder in nnU-Net's layout: imagesTr/<case>_0000<ending> ..., labelsTr/<case><ending>."""
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
    _check_complete(cases, images, file_ending)
    return cases


def channel_files(images: Path, identifier: str, file_ending: str, channels: int) -> tuple[Path, ...]:
    """Return the image files of a case, <case>_0000<ending> and so on."""
    return tuple(images / f"{identifier}_{channel:04d}{file_ending}" for channel in range(channels))


def case_digest(case: CaseFiles) -> str:
    """Return a digest of the content of a case's files; raise when one of them is missing."""
    for path in (*case.images, case.label):
        if not path.is_file():
            check_intact(path)
    return digest([file_digest(path) for path in (*case.images, case.label)])


def _check_complete(cases: Sequence[CaseFiles], images: Path, file_ending: str) -> None:
    """Raise when a label lacks the image of a channel, or an image belongs to no label."""
    expected = {image for case in cases for image in case.images}
    present = set(images.glob(f"*{file_ending}"))
    for missing in sorted(expected - present):
        raise UserError(f"{missing} does not exist, but its label does; add the image or take the label away.")
    for extra in sorted(present - expected):
        raise UserError(
            f"{extra} belongs to no label in {images.parent / 'labelsTr'}, or is a channel the dataset "
            "does not have; add the label or take the image away."
        )
