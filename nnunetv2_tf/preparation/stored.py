"""Cases as nnU-Net stores them: the space in which all methods work. Arrays are read when asked for."""

import errno
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class

from nnunetv2_tf.arguments import Fold
from nnunetv2_tf.cases import CaseFiles
from nnunetv2_tf.errors import UserError
from nnunetv2_tf.folders import Dataset
from nnunetv2_tf.folds import Groups, fold_split, refuse_strangers
from nnunetv2_tf.meaning import Meaning
from nnunetv2_tf.preparation.grid import Grid
from nnunetv2_tf.preparation.intensity import Intensity
from nnunetv2_tf.preparation.preprocess import Plan

BACKGROUND = 0.01  # of the crop


@dataclass(frozen=True)
class Case:
    """One preprocessed case."""

    dataset: Dataset
    plan: Plan
    files: CaseFiles
    group: tuple[str, str]
    meaning: Meaning
    folder: Path  # of the arrays
    numbering: Mapping[int, int] = field(default_factory=dict)  # own values that are others in the target dataset

    def __reduce__(self) -> tuple[Any, ...]:
        """For other processes: the fields, without what was read."""
        return type(self), tuple(getattr(self, entry.name) for entry in fields(self))

    @property
    def identifier(self) -> str:
        """Its name."""
        return self.files.identifier

    @cached_property
    def grid(self) -> Grid:
        """Where its arrays lie in the scan."""
        grid = Grid.of(self.properties, self._arrays[1].shape[1:], self.plan.plans_manager.transpose_forward)
        if not grid.fits(self.plan.manager.spacing):
            raise UserError(
                f"{self.identifier} in {self.folder} is {grid.shape} voxels large, which is not what "
                f"{self.plan.plans['plans_name']} makes of it, so it was preprocessed by other plans; {self._cure}"
            )
        return grid

    @property
    def properties(self) -> dict[str, Any]:
        """What nnU-Net wrote beside the arrays."""
        return self._read[2]

    @cached_property
    def intensity(self) -> Intensity:
        """Native value = mean + sd * stored value."""
        return Intensity.of(self.dataset, self.plan, self.files)

    def image(self, box: tuple[slice, ...] = (slice(None),) * 3) -> np.ndarray:
        """(C, Z, Y, X) float32, normalised by nnU-Net; all of it, or a box, without reading the rest."""
        return np.asarray(self._arrays[0][(slice(None), *box)], dtype=np.float32)

    def label(self) -> np.ndarray:
        """(Z, Y, X) int16 in the target dataset's numbering; 0 outside the scan's content."""
        own = self.stored_label
        label = np.where(own > 0, own, 0).astype(np.int16)
        for value, target in self.numbering.items():
            label[own == value] = target
        return label

    def tumour(self) -> np.ndarray:
        """(Z, Y, X) int16: the label where it is tumour, else 0."""
        label = self.label()
        return np.where(np.isin(label, self.meaning.tumour), label, 0).astype(np.int16)

    def organ(self) -> np.ndarray:
        """(Z, Y, X) bool: where tumour may be."""
        if self.meaning.organ:
            return np.isin(self.stored_label, (*self.meaning.organ, *self.meaning.tumour))
        return self.stored_label >= 0

    def has_tumour(self) -> bool:
        """Whether any of it is tumour, by the voxels nnU-Net keeps for oversampling. Keeps nothing in memory."""
        wanted = set(self.meaning.tumour)
        locations = self._read_properties().get("class_locations", {})
        return any(
            len(places) and wanted >= {self.numbering.get(int(value), int(value)) for value in np.atleast_1d(values)}
            for values, places in locations.items()
        )

    def body(self) -> np.ndarray:
        """(Z, Y, X) bool: what nnU-Net normalises over. (Elsewhere resampling leaves traces, values that are not 0.)"""
        if self.plan.manager.use_mask_for_norm[0]:
            return self.stored_label >= 0
        return np.ones(self.stored_label.shape, bool)

    @cached_property
    def has_background(self) -> bool:
        """Whether 0 means background here: nnU-Net cropped some away, or marked a good part of the crop.

        A few voxels do not count: in CT 0 is a value like any other, and some at the scan's edge get marked.
        """
        return self.grid.cropped != self.grid.native_shape or float((self.stored_label < 0).mean()) > BACKGROUND

    @cached_property
    def stored_label(self) -> np.ndarray:
        """(Z, Y, X) as stored: -1 where the scan has its background of 0."""
        return np.asarray(self._arrays[1][0])

    @property
    def _arrays(self) -> tuple[Any, Any]:
        return self._read[:2]

    @property
    def _cure(self) -> str:
        plans, configuration = self.plan.plans["plans_name"], self.plan.configuration
        return f"run nnUNetv2_preprocess -d {self.dataset.name} -plans_name {plans} -c {configuration}."

    @cached_property
    def _read(self) -> tuple[Any, Any, dict[str, Any]]:
        """Handles of image and label, which read when they are sliced, and the properties."""
        properties = self._read_properties()
        with self._explained():
            kind = _dataset_class(str(self.folder))
            image, label, *_ = kind(str(self.folder), [self.identifier]).load_case(self.identifier)
        return image, label, properties

    def _read_properties(self) -> dict[str, Any]:
        path = self.folder / f"{self.identifier}.pkl"
        if not path.is_file():
            raise UserError(
                f"{self.identifier} is not preprocessed for {self.plan.configuration} ({self.folder}); {self._cure}"
            )
        with self._explained(), open(path, "rb") as file:
            return pickle.load(file)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (AssertionError, OSError, EOFError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
            if isinstance(error, OSError) and error.errno == errno.EMFILE:
                raise
            raise UserError(
                f"{self.identifier} in {self.folder} cannot be read ({error}), it is damaged; {self._cure}"
            ) from None


@cache
def _dataset_class(folder: str) -> Any:
    """nnU-Net's way to read a folder; it lists the folder to find out."""
    return infer_dataset_class(folder)


def training_cases(files: Mapping[str, CaseFiles], dataset: Dataset, plan: Plan, fold: Fold) -> list[Case]:
    """The real cases that train in a fold, in the order of their names; `files` are all of the dataset's."""
    groups = Groups.read(dataset)
    meaning = Meaning.read(dataset)
    split = fold_split(dataset, fold, list(files))
    refuse_strangers(split.train, files, dataset)
    folder = dataset.preprocessed / plan.data_identifier
    return [Case(dataset, plan, files[name], groups[name], meaning, folder) for name in sorted(split.train)]
