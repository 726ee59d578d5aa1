"""Which parts of a prediction are sure enough to count as tumours. In: what a nnU-Net predicts. Out: its components.

Components touch by faces, edges or corners, whatever their classes. Each is taken or left whole.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage
from scipy.ndimage import find_objects

from nnunetv2_tf.io.arguments import KEEP, is_kept
from nnunetv2_tf.tumours.bank import EVERYWHERE, PIECE_ML

LEFT = 255  # value in a map of what was predicted and not taken: neither tumour nor healthy tissue


@dataclass(frozen=True)
class ComponentRules:
    """What a component has to be like."""

    min_ml: float = 1.0
    confidence: float = 0.8  # mean probability that its voxels are tumour, of whatever class
    keep: tuple[float, float] = KEEP  # share that is recognised once more: above the first, up to the second

    def keeps(self, share: float) -> bool:
        """Tell whether enough is recognised once more; from 0 on, anything is."""
        return is_kept(share, self.keep)


@dataclass(frozen=True)
class Component:
    """One component of a prediction."""

    volume_ml: float
    classes: Mapping[str, float]  # millilitres by label value
    confidence: float  # mean probability that its voxels are tumour
    centre_mm: tuple[float, float, float]  # (x, y, z)
    recognised: float | None = None  # share that is recognised once more; None: nobody asked
    objection: str = ""  # why it is left out

    @property
    def taken(self) -> bool:
        """Whether it counts as tumour."""
        return not self.objection


def chosen(
    predicted: np.ndarray,
    probability: np.ndarray,
    affine: np.ndarray,
    rules: ComponentRules,
    recognise: Callable[[np.ndarray], float],
) -> tuple[np.ndarray, list[Component]]:
    """Choose components of a prediction.

    Args:
        predicted: (Z, Y, X) int16, tumour classes only
        probability: (Z, Y, X) that there is tumour
        affine: 4x4, voxel (Z, Y, X) to mm (x, y, z)
        rules: for them
        recognise: returns the share of a tumour map (Z, Y, X) that is recognised; asked about those that are left

    Returns:
        map of what is predicted, LEFT where it is not taken, and all components larger than specks, the largest first
    """
    pieces = np.zeros(predicted.shape, np.int32)
    ndimage.label(predicted > 0, EVERYWHERE, output=pieces)
    voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1000
    found, components = np.where(predicted > 0, LEFT, 0).astype(np.int16), []
    for number, box in enumerate(find_objects(pieces), start=1):
        inside = pieces[box] == number
        if inside.sum() * voxel_ml < PIECE_ML:
            continue
        component = _described(inside, predicted[box], probability[box], affine, voxel_ml, [part.start for part in box])
        component = replace(component, objection=_objection(component, rules))
        alone = np.where(pieces == number, predicted, 0)
        if component.taken:
            share = round(recognise(alone), 4)
            refused = "" if rules.keeps(share) else f"{share:.2f} of it is recognised once more"
            component = replace(component, recognised=share, objection=refused)
        if component.taken:
            found[alone > 0] = alone[alone > 0]
        components.append(component)
    return found, sorted(components, key=lambda component: -component.volume_ml)


def _described(
    inside: np.ndarray, predicted: np.ndarray, probability: np.ndarray, affine: np.ndarray, voxel_ml: float,
    start: list[int],
) -> Component:  # fmt: skip
    values, counts = np.unique(predicted[inside], return_counts=True)
    centre = affine[:3, :3] @ (np.argwhere(inside).mean(axis=0) + start) + affine[:3, 3]
    x, y, z = (round(float(place), 1) for place in centre)
    return Component(
        volume_ml=round(float(inside.sum()) * voxel_ml, 3),
        classes={
            str(value): round(float(count) * voxel_ml, 3) for value, count in zip(values, counts, strict=True)
        },
        confidence=round(float(probability[inside].mean()), 4),
        centre_mm=(x, y, z),
    )  # fmt: skip


def _objection(component: Component, rules: ComponentRules) -> str:
    if component.volume_ml < rules.min_ml:
        return f"it has less than {rules.min_ml:g} ml"
    if component.confidence < rules.confidence:
        return f"its mean probability is {component.confidence:.2f}"
    return ""
