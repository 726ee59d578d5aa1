"""Sampling of training cases. In: real and synthetic cases. Out: one nnU-Net dataset with both in a proportion."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetBaseDataset

FINEST = 1000  # most repetitions; keeps the proportion within 0.03 percentage points of the wanted one


class EnrichedDataset:
    """Real and synthetic cases for nnU-Net's dataloader, which needs `identifiers` and `load_case`.

    It draws identifiers uniformly with replacement, so repeating them sets the proportion and copies no data.
    """

    def __init__(self, real: nnUNetBaseDataset, synthetic: nnUNetBaseDataset, percent: int | None) -> None:
        self.synthetic_identifiers = frozenset(synthetic.identifiers)
        self._real, self._synthetic = real, synthetic
        times_real, times_synthetic = repetitions(len(real.identifiers), len(synthetic.identifiers), percent)
        drawn = [*sorted(real.identifiers) * times_real, *sorted(synthetic.identifiers) * times_synthetic]
        self.identifiers = np.array(drawn, dtype=object)  # nnU-Net would convert a list anew for every batch

    def load_case(self, identifier: str) -> Any:
        """Return the arrays and properties of a case, from the dataset that it belongs to."""
        source = self._synthetic if identifier in self.synthetic_identifiers else self._real
        return source.load_case(identifier)

    def __getitem__(self, identifier: str) -> Any:
        return self.load_case(identifier)


def repetitions(real: int, synthetic: int, percent: int | None) -> tuple[int, int]:
    """Return how often to list each real and each synthetic case so that `percent` of the draws are synthetic.

    None: all cases alike. 100: no real case at all.
    """
    if percent is None:
        return 1, 1
    if percent == 100:
        return 0, 1
    odds = Fraction(real * percent, synthetic * (100 - percent))  # of one synthetic case to one real case
    if odds < 1:
        times_real, times_synthetic = (1 / odds).limit_denominator(FINEST).as_integer_ratio()
    else:
        times_synthetic, times_real = odds.limit_denominator(FINEST).as_integer_ratio()
    return times_real, times_synthetic


@dataclass(frozen=True)
class Draw:
    """One patch of an epoch."""

    case: str
    with_tumour: bool  # in the patch, not only in the case
    host: str = ""  # of a case that was made for it
    donors: tuple[str, ...] = ()  # likewise


def full_target(batch: Mapping[str, Any]) -> Any:
    """Return the target of one of nnU-Net's batches in full resolution."""
    return batch["target"][0] if isinstance(batch["target"], list) else batch["target"]


def with_tumour(target: np.ndarray, classes: Sequence[int] | None, channels: Sequence[int]) -> list[bool]:
    """Return for each patch of a batch whether there is tumour in it.

    Args:
        target: (B, C, ...) label maps, or a mask for each region
        classes: labels that are tumour; None: the target holds masks
        channels: masks that are tumour
    """
    if classes is None:
        return [bool(patch[list(channels)].any()) for patch in target]
    return [any(bool((patch == value).any()) for value in classes) for patch in target]  # 2 ms for two of 128 voxels


def tumour_mask(target: np.ndarray, classes: Sequence[int] | None, channels: Sequence[int]) -> np.ndarray:
    """Return ([Z,] Y, X) bool: the tumour of one patch (C, [Z,] Y, X), whose classes and channels are as above."""
    if classes is None:
        return np.asarray(target[list(channels)].any(axis=0))
    return np.isin(target[0], classes)


def describe_draws(drawn: Sequence[Draw], synthetic: frozenset[str], num_real: int, num_synthetic: int) -> str:
    """Return a line for nnU-Net's log about the patches that were drawn in an epoch."""
    of_real = [one for one in drawn if one.case not in synthetic]
    made = [one for one in drawn if one.case in synthetic]
    return f"Drawn this epoch: {_described(of_real, 'real', num_real)}, {_described(made, 'synthetic', num_synthetic)}"


def _described(drawn: Sequence[Draw], kind: str, number: int) -> str:
    cases = len({one.case for one in drawn})
    return f"{len(drawn)} {kind} ({cases} of {number} cases, tumour in {sum(one.with_tumour for one in drawn)})"
