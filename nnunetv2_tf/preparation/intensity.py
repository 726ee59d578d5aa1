"""What nnU-Net's normalisation subtracts and divides by, case by case. nnU-Net itself does not keep it.

Computed on first need from the raw images, exactly as nnU-Net does, and kept in
nnUNet_preprocessed/<dataset>/tf/intensity/<data_identifier>/<case>.json for as long as images and plans stay the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from nnunetv2.preprocessing.cropping.cropping import crop_to_nonzero

from nnunetv2_tf.cases import CaseFiles, case_digest, refuse_damaged
from nnunetv2_tf.errors import UserError
from nnunetv2_tf.folders import INTENSITY, Dataset
from nnunetv2_tf.preparation.preprocess import Plan
from nnunetv2_tf.records import read_record, to_json
from nnunetv2_tf.stamps import digest
from nnunetv2_tf.work import write_json

SMALLEST = 1e-8  # nnU-Net divides by no less


@dataclass(frozen=True)
class Intensity:
    """Native value = mean + sd * stored value, per channel."""

    mean: tuple[float, ...]
    sd: tuple[float, ...]
    n: int  # voxels of the scan that mean and sd of the first channel are taken over
    source: str  # digest of images, label and plans

    @classmethod
    def of(cls, dataset: Dataset, plan: Plan, case: CaseFiles) -> "Intensity":
        """The kept record, or a new one where images or plans have changed since."""
        source = digest([plan.stamp, case_digest(case)])
        path = intensity_path(dataset, plan, case.identifier)
        if path.is_file():
            kept = read_record(cls, path, "delete it, it is made anew.")
            if kept.source == source:
                return kept
        for file in (*case.images, case.label):
            refuse_damaged(file)
        record = _measured(plan, case, source)
        write_json(path, to_json(record))
        return record


def intensity_path(dataset: Dataset, plan: Plan, identifier: str) -> Path:
    """Where the record of a case is."""
    return dataset.preprocessed / "tf" / INTENSITY / plan.data_identifier / f"{identifier}.json"


def _measured(plan: Plan, case: CaseFiles, source: str) -> Intensity:
    reader: Any = plan.plans_manager.image_reader_writer_class()
    images, _ = reader.read_images([str(image) for image in case.images])
    label, _ = reader.read_seg(str(case.label))
    axes = [0, *[axis + 1 for axis in plan.plans_manager.transpose_forward]]
    images, label, _ = crop_to_nonzero(images.transpose(axes), label.transpose(axes))
    inside = label[0] >= 0  # the nonzero mask, and what is labelled outside it
    settings = plan.manager
    properties = plan.plans_manager.foreground_intensity_properties_per_channel
    channels = [
        _channel(scheme, image, inside if by_mask else None, properties[str(index)])
        for index, (scheme, by_mask, image) in enumerate(
            zip(settings.normalization_schemes, settings.use_mask_for_norm, images, strict=True)
        )
    ]
    means, deviations = zip(*channels, strict=True)
    return Intensity(means, deviations, int(inside.sum()) if settings.use_mask_for_norm[0] else inside.size, source)


def _channel(
    scheme: str, image: np.ndarray, inside: np.ndarray | None, properties: dict[str, float]
) -> tuple[float, float]:
    """Mean and sd by nnU-Net's normalisation schemes."""
    if scheme == "ZScoreNormalization":
        values: Sequence | np.ndarray = image if inside is None else image[inside]
        return float(np.mean(values)), max(float(np.std(values)), SMALLEST)
    if scheme == "CTNormalization":
        return float(properties["mean"]), max(float(properties["std"]), SMALLEST)
    if scheme == "RescaleTo01Normalization":
        low, high = float(image.min()), float(image.max())
        return low, max(high - low, SMALLEST)
    if scheme == "RGBTo01Normalization":
        return 0.0, 255.0
    if scheme == "NoNormalization":
        return 0.0, 1.0
    raise UserError(f"Synthetic cases cannot be made for plans with {scheme}: nobody knows how to turn it back.")
