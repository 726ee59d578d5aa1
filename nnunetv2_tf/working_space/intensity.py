"""How nnU-Net normalised a case. In: its raw files and a plan. Out: the mean and sd of each channel.

nnU-Net does not store them. They are computed on first need from the raw images, exactly as by nnU-Net, and kept in
nnUNet_preprocessed/<dataset>/tf/intensity/<data_identifier>/<case>.json for as long as images and plans stay the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from nnunetv2.preprocessing.cropping.cropping import crop_to_nonzero

from nnunetv2_tf.dataset.cases import CaseFiles, case_digest
from nnunetv2_tf.dataset.folders import INTENSITY, Dataset
from nnunetv2_tf.dataset.volumes import check_intact
from nnunetv2_tf.io.digests import digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.kept import kept
from nnunetv2_tf.working_space.preprocess import Plan

SMALLEST = 1e-8  # nnU-Net never divides by less


@dataclass(frozen=True)
class Intensity:
    """How a case was normalised: native value = mean + sd * stored value, per channel."""

    mean: tuple[float, ...]
    sd: tuple[float, ...]
    n: int  # voxels of the scan that mean and sd of the first channel are taken over
    source: str  # digest of images, label and plans

    @classmethod
    def of(cls, dataset: Dataset, plan: Plan, case: CaseFiles) -> "Intensity":
        """Return the kept record, or a new one where files or plans have changed since."""
        source = digest([plan.stamp, case_digest(case)])
        path = intensity_path(dataset, plan, case.identifier)
        return kept(path, cls, source, lambda: _measured(plan, case, source))


def intensity_path(dataset: Dataset, plan: Plan, identifier: str) -> Path:
    """Return the path of a case's record."""
    return dataset.preprocessed / "tf" / INTENSITY / plan.data_identifier / f"{identifier}.json"


def _measured(plan: Plan, case: CaseFiles, source: str) -> Intensity:
    for file in (*case.images, case.label):
        check_intact(file)
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
    """Return mean and sd of a channel, by nnU-Net's normalisation schemes."""
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
