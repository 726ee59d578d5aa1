"""What a fit has left in its folder, and methods made ready by it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from nnunetv2_tf.dataset.provenance import BaselineUse
from nnunetv2_tf.methods.base import Learner, Method
from nnunetv2_tf.methods.lookup import SelectedMethod


@dataclass(frozen=True)
class FitResult:
    """A finished fit."""

    method: SelectedMethod
    folder: Path
    baseline: BaselineUse | None
    digest: str  # of its settings and its files
    needed: tuple["FitResult", ...]  # the fits that it builds on
    unlabelled: str | None = None  # the dataset of unlabelled scans that it learnt from, too

    def load(self, device: torch.device) -> Method:
        """Return the method, ready to edit."""
        method = build_method(self.method, device, self.needed)
        method.load(self.folder)
        return method


def learns(method: SelectedMethod) -> bool:
    """Tell whether a method has to be fitted."""
    return method.method_class.fit is not Learner.fit


def build_method(selected: SelectedMethod, device: torch.device, needed: Sequence[FitResult] = ()) -> Method:
    """Return a method that has learnt nothing itself, with those that it needs, on one device."""
    return selected.method_class(selected.config, device, {fit.method.name: fit.load(device) for fit in needed})
