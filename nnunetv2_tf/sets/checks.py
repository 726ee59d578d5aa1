"""Checks of foreign synthetic cases. In: a case's files and the dataset's rules. Out: sentences about what is wrong."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from nnunetv2.imageio.reader_writer_registry import determine_reader_writer_from_dataset_json
from nnunetv2.preprocessing.cropping.cropping import create_nonzero_mask
from nnunetv2.utilities.label_handling.label_handling import LabelManager

from nnunetv2_tf.dataset.cases import CaseFiles
from nnunetv2_tf.dataset.provenance import CaseEntry
from nnunetv2_tf.dataset.volumes import check_intact
from nnunetv2_tf.io.digests import file_digest
from nnunetv2_tf.io.errors import UserError

TOLERANCE = 1e-3  # of spacing, origin and direction
PICTURES = ("NaturalImage2DIO", "Tiff3DIO")  # readers of formats whose geometry lies in other files, or nowhere
RINGING = 0.01  # share of voxels below 0 that is accepted; interpolation makes up to 0.2 % in real BraTS scans


@dataclass(frozen=True)
class CaseRules:
    """What a dataset requires of its cases."""

    reader: type
    labels: frozenset[int]
    foreground: frozenset[int]
    masked: bool  # whether any plans that are to be used normalise inside the nonzero mask
    negatives: bool  # whether real cases have many voxels below 0, as z-scored ones have
    orientation: np.ndarray | None  # of the real cases; None: the reader reorients all cases alike

    @classmethod
    def of(cls, dataset_json: dict[str, Any], example: Path, masked: bool) -> "CaseRules":
        """Return the rules of a dataset, from its dataset.json and one of its images."""
        manager = LabelManager(dataset_json["labels"], dataset_json.get("regions_class_order"))
        reader = determine_reader_writer_from_dataset_json(dataset_json, str(example), verbose=False)
        if reader.__name__ in PICTURES:
            raise UserError(f"{example.name}: sets take volumes such as .nii.gz, and this dataset is made of pictures.")
        turns = reader.__name__.endswith("WithReorient")
        image, geometry = _read(reader, example)
        orientation = None if turns else _orientation(geometry)
        labels = frozenset(int(label) for label in manager.all_labels)
        ignored = frozenset() if manager.ignore_label is None else {int(manager.ignore_label)}
        negatives = _below_zero(image) > RINGING
        return cls(reader, labels | ignored, labels - {0}, masked, negatives, orientation)


def check_case(rules: CaseRules, case: CaseFiles) -> CaseEntry | list[str]:
    """Return the manifest's entry for a good case, or sentences about what is wrong with a bad one."""
    try:
        wrong = list(_problems(rules, case))
    except UserError as error:
        wrong = [str(error)]
    if wrong:
        return wrong
    hashes = tuple(file_digest(image) for image in case.images)
    return CaseEntry(case.identifier, None, True, hashes, file_digest(case.label))


def _problems(rules: CaseRules, case: CaseFiles) -> Iterator[str]:
    label, grid = _read(rules.reader, case.label)
    images = []
    for path in case.images:
        image, image_grid = _read(rules.reader, path)
        if image.shape != label.shape:
            yield f"{path} has shape {_shape(image)}, but {case.label.name} has {_shape(label)}; resample one."
            return
        if not _same_grid(image_grid, grid):
            yield f"{path} and {case.label.name} do not share spacing, origin and direction; resample one."
        images.append(image)
    yield from _label_problems(rules, case, label)
    if rules.orientation is not None and not np.array_equal(_orientation(grid), rules.orientation):
        yield f"{case.label} is turned against the real cases, and nnU-Net would not turn it back; reorient the case."
    if rules.masked:
        yield from _mask_problems(rules, case, np.concatenate(images), label)


def _label_problems(rules: CaseRules, case: CaseFiles, label: np.ndarray) -> Iterator[str]:
    present = set(np.unique(label).tolist())
    unknown = sorted(present - rules.labels)
    if unknown:
        values = ", ".join(f"{value:g}" for value in unknown)
        yield f"{case.label} holds values that dataset.json does not know: {values}; map them to its labels."
    elif not present & rules.foreground:
        yield f"{case.label} has no foreground voxel, so there is nothing to learn from it; leave the case out."


def _mask_problems(rules: CaseRules, case: CaseFiles, images: np.ndarray, label: np.ndarray) -> Iterator[str]:
    """Yield problems with the background: nnU-Net crops to what is not 0, so 0 must mean background and only that."""
    first = case.images[0]
    negative = _below_zero(images)
    if negative > RINGING and not rules.negatives:
        yield f"{first}: {negative:.0%} of the voxels are below 0; set the background to 0 and the organ above it."
        return
    inside = np.asarray(create_nonzero_mask(images), dtype=bool)
    if inside.all():
        yield f"{first} has no background of exactly 0, which these plans crop to; set it to 0."
    outside = int((np.isin(label[0], list(rules.foreground)) & ~inside).sum())
    if outside:
        yield f"{case.label} has {outside} foreground voxels where the images are background (0); correct either."


def _below_zero(images: np.ndarray) -> float:
    """Return the share of voxels below 0 among those that are not 0."""
    return float((images < 0).sum() / max(1, (images != 0).sum()))


def _read(reader: type, path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    """Read one file as (1, Z, Y, X) float32 with its geometry; raise when nnU-Net could not train with it."""
    check_intact(path)
    try:
        image, properties = reader().read_images((str(path),))
    except Exception:  # readers raise whatever their libraries raise
        raise UserError(f"{path} cannot be read by nnU-Net's {reader.__name__}; replace it.") from None
    if not np.isfinite(image).all():
        raise UserError(f"{path} holds NaN or infinite values; replace them.")
    if image.shape[0] != 1:
        raise UserError(f"{path} holds {image.shape[0]} volumes; write one file per channel.")
    return image, properties


def _same_grid(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return all(np.allclose(a, b, atol=TOLERANCE) for a, b in zip(_geometry(first), _geometry(second), strict=True))


def _geometry(properties: dict[str, Any]) -> list[np.ndarray]:
    spacing = [np.asarray(properties["spacing"])]
    if "sitk_stuff" in properties:
        return spacing + [np.asarray(properties["sitk_stuff"][key]) for key in ("origin", "direction")]
    if "nibabel_stuff" in properties:
        return [*spacing, np.asarray(properties["nibabel_stuff"]["original_affine"])]
    return spacing


def _orientation(properties: dict[str, Any]) -> np.ndarray:
    """Return which way each array axis points, to the nearest body axis; empty for formats that do not say."""
    if "sitk_stuff" in properties:
        direction = np.asarray(properties["sitk_stuff"]["direction"])
        dimensions = round(direction.size**0.5)
        axes = direction.reshape(dimensions, dimensions)
    elif "nibabel_stuff" in properties:
        axes = np.asarray(properties["nibabel_stuff"]["original_affine"])[:3, :3]
    else:
        return np.empty(0)
    nearest = np.abs(axes).argmax(axis=0)
    return np.stack([nearest, np.sign(axes[nearest, np.arange(axes.shape[1])])])


def _shape(volume: np.ndarray) -> str:
    return " x ".join(map(str, volume.shape[1:]))
