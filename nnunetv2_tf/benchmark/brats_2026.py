"""Metrics by the constants of BraTS 2026. In: masks of prediction and truth, (Z, Y, X) bool, and the spacing in mm.

Lesions are 26-connected components as they are: nothing is dilated, and none is too small. A predicted and a true
lesion are matched where their Dice is above MATCHED, each at most once, so that the sum of Dice is largest. Lesion-wise
means are over matched lesions; what is missed or false counts in F1. Surface distances of both directions are pooled.
On the grid of BraTS, 1 mm, all this is what its scorer says.
"""

from dataclasses import dataclass

import cc3d
import numpy as np
from scipy import optimize

from nnunetv2_tf.benchmark import metrics
from nnunetv2_tf.benchmark.metrics import Spacing

MATCHED = 1e-6
TOLERANCE = 0.5  # mm
WORST_DISTANCE = 373.0  # mm, where only one of truth and prediction is empty


@dataclass(frozen=True)
class Scores2026:
    """One region of one case; None where truth and prediction are empty."""

    hd95_2026: float | None  # mm
    nsd_2026: float | None  # within 0.5 mm; mean of both directions
    lesion_dice_2026: float | None
    lesion_hd95_2026: float | None
    lesion_nsd_2026: float | None  # within the smallest side of a voxel
    lesion_f1_2026: float | None


def brats_2026(prediction: np.ndarray, truth: np.ndarray, spacing: Spacing) -> Scores2026:
    """Return the metrics of a region."""
    if not prediction.any() and not truth.any():
        return Scores2026(*[None] * 6)
    predicted, true = (cc3d.connected_components(mask, connectivity=26) for mask in (prediction, truth))
    pairs = matched_lesions(predicted, true)
    scores = [(0.0, WORST_DISTANCE, 0.0)]
    if pairs:
        lesions = [(predicted == one, true == other) for one, other in pairs]
        scores = [(metrics.dice(*pair), *_surfaces(*pair, spacing, min(spacing))) for pair in lesions]
    f1 = 2 * len(pairs) / (int(predicted.max()) + int(true.max()))
    lesion_dice, lesion_hd95, lesion_nsd = np.mean(scores, axis=0).tolist()
    hd95, nsd = _surfaces(prediction, truth, spacing, TOLERANCE)
    return Scores2026(hd95, nsd, lesion_dice, lesion_hd95, lesion_nsd, f1)


def matched_lesions(predicted: np.ndarray, true: np.ndarray) -> list[tuple[int, int]]:
    """Match lesions of two label maps; return the numbers of each pair, the predicted lesion first."""
    sizes = [np.bincount(labels.ravel(), minlength=2) for labels in (predicted, true)]
    both = (predicted > 0) & (true > 0)
    overlap = np.zeros((len(sizes[0]), len(sizes[1])))
    np.add.at(overlap, (predicted[both], true[both]), 1)
    dice = 2 * overlap[1:, 1:] / np.maximum(sizes[0][1:, None] + sizes[1][None, 1:], 1)
    dice[dice < MATCHED] = 0
    return [
        (int(row) + 1, int(column) + 1)
        for row, column in zip(*optimize.linear_sum_assignment(-dice), strict=True)
        if dice[row, column] > 0
    ]


def _surfaces(prediction: np.ndarray, truth: np.ndarray, spacing: Spacing, tolerance: float) -> tuple[float, float]:
    """Return the 95th percentile of all surface distances, and the normalised surface distance."""
    distances = metrics.surface_distances(prediction, truth, spacing)
    if distances is None:
        return WORST_DISTANCE, 0.0
    near = [float((one_way <= tolerance).mean()) for one_way in distances]
    return float(np.percentile(np.concatenate(distances), 95)), sum(near) / 2
