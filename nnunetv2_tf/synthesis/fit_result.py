"""What a fit has left in its folder, and methods made ready by it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.folds import Patient
from nnunetv2_tf.dataset.provenance import BaselineUse
from nnunetv2_tf.methods.base import Learner
from nnunetv2_tf.methods.lookup import SelectedMethod
from nnunetv2_tf.working_space.unlabelled import named_in, patients_in


@dataclass(frozen=True)
class FitResult:
    """A finished fit."""

    method: SelectedMethod
    folder: Path
    baseline: BaselineUse | None
    digest: str  # of its settings and its files
    needed: tuple["FitResult", ...]  # the fits that it builds on
    unlabelled: str | None = None  # the dataset of unlabelled scans that it learnt from, too

    @cached_property
    def scans(self) -> Mapping[str, Patient]:
        """The unlabelled scans that it, or what it builds on, learnt from: their patients."""
        before = {name: patient for fit in self.needed for name, patient in fit.scans.items()}
        if self.unlabelled is None:
            return before
        dataset = Dataset.find(self.unlabelled)
        return before | named_in(dataset, patients_in(dataset))

    @property
    def recorded(self) -> dict[str, Any]:
        """What config.json of a set that is made with it says, as fields of SetConfig."""
        return {"baseline": self.baseline, "fit": self.digest, "unlabelled": self.unlabelled}

    def load(self, device: torch.device) -> Any:
        """Return the method, ready to edit, or what methods need."""
        method = build_method(self.method, device, self.needed)
        method.load(self.folder)
        return method


def learns(method: SelectedMethod) -> bool:
    """Tell whether a method has to be fitted."""
    return method.method_class.fit is not Learner.fit


def build_method(selected: SelectedMethod, device: torch.device, needed: Sequence[FitResult] = ()) -> Any:
    """Return a method that has learnt nothing itself, or what methods need, with what it needs, on one device."""
    return selected.method_class(selected.config, device, {fit.method.name: fit.load(device) for fit in needed})
