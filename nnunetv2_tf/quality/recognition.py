"""FreeTumor's rule: how much of a synthetic tumour a segmentor recognises. In: its segmentation. Out: shares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from nnunetv2_tf.baseline.segmentor import Segmentor
from nnunetv2_tf.geometry.boxes import Box, box_around, shape_of, widened

AROUND = 0.25  # of the patch, beyond the tumour's box, is what the segmentor is shown on each side


@dataclass(frozen=True)
class Recognised:
    """Shares of a tumour's voxels that a segmentor recognises."""

    tumour: float  # called tumour, of whatever class
    classes: Mapping[str, float]  # by class (its label's value): called that class


def recognised(segmentation: np.ndarray, tumour: np.ndarray, values: Sequence[int]) -> Recognised:
    """Compare a segmentation with the tumour map it should have found.

    Args:
        segmentation: (Z, Y, X) label values
        tumour: (Z, Y, X) the map, not empty
        values: label values that are tumour
    """
    inside = tumour > 0
    called = np.isin(segmentation[inside], values)
    there = np.unique(tumour[inside])
    classes = {str(value): float((segmentation[tumour == value] == value).mean()) for value in there}
    return Recognised(float(called.mean()), classes)


def segmented_around(segmentor: Segmentor, image: np.ndarray, tumour: np.ndarray) -> np.ndarray:
    """Return the segmentation (Z, Y, X) of the box around a tumour; 0 elsewhere.

    Args:
        segmentor: the fold's
        image: (C, Z, Y, X), as nnU-Net normalises
        tumour: (Z, Y, X) the map, not empty
    """
    box = shown(tumour, segmentor.patch)
    segmentation = np.zeros(tumour.shape, np.int16)
    content = np.ascontiguousarray(image[(slice(None), *box)])
    segmentation[box] = segmentor.segmentation(torch.from_numpy(content)).numpy()
    return segmentation


def shown(tumour: np.ndarray, patch: Sequence[int]) -> Box:
    """Return the box around a tumour that a segmentor is shown: at least its patch, where the scan is that large."""
    box = box_around(tumour > 0)
    more = [
        max(int(AROUND * size), -(-(size - extent) // 2)) for size, extent in zip(patch, shape_of(box), strict=True)
    ]
    return widened(box, more, tumour.shape)
