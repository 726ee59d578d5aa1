"""Preprocessed cases. In: a dataset, a plan and a fold. Out: cases, whose arrays are read when asked for."""

import errno
import glob
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class

from nnunetv2_tf.dataset.cases import CaseFiles
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.folds import Groups, check_known_cases, fold_split
from nnunetv2_tf.dataset.label_roles import LabelRoles
from nnunetv2_tf.geometry.grid import Grid
from nnunetv2_tf.io.arguments import Fold
from nnunetv2_tf.io.array_cache import ArrayCache
from nnunetv2_tf.io.array_files import Arrays
from nnunetv2_tf.io.digests import digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.working_space.intensity import Intensity
from nnunetv2_tf.working_space.preprocess import Plan

BACKGROUND = 0.01  # of the crop: less does not count as background


@dataclass(frozen=True)
class Case:
    """One preprocessed case, none of whose arrays is in memory."""

    dataset: Dataset
    plan: Plan
    files: CaseFiles
    group: tuple[str, str]
    roles: LabelRoles
    folder: Path  # of the arrays
    numbering: Mapping[int, int] = field(default_factory=dict)  # values of its label: values in the target dataset
    cache: ArrayCache | None = None  # of what is computed of the case again and again

    @property
    def identifier(self) -> str:
        """The name that the case goes by, which is nnU-Net's."""
        return self.files.identifier

    def open(self) -> "OpenCase":
        """Return the case with access to its arrays, which are freed together with it."""
        return OpenCase(*(getattr(self, entry.name) for entry in fields(Case)))

    def has_tumour(self) -> bool:
        """Return whether the case has tumour, by the voxels that nnU-Net stores for oversampling."""
        wanted = set(self.roles.tumour)
        locations = self._read_properties().get("class_locations", {})
        return any(
            len(places) and wanted >= {self.numbering.get(int(value), int(value)) for value in np.atleast_1d(values)}
            for values, places in locations.items()
        )

    def stamp(self) -> list[Any]:
        """Return what changes with its arrays, or with what its labels stand for."""
        beginning = glob.escape(self.files.identifier)
        files = [path.stat() for path in sorted(self.folder.glob(f"{beginning}*")) if self._is_own(path)]
        return [[(stat.st_size, stat.st_mtime_ns) for stat in files], (self.roles.tumour, self.roles.organ)]

    def kept(self, name: str, depends_on: Any, compute: Callable[[], Arrays]) -> Arrays:
        """Return arrays that depend on this case and a JSON value only: from the cache, if there is one."""
        if self.cache is None:
            return compute()
        whole_name = f"{self.dataset.number}_{self.plan.data_identifier}_{self.identifier}_{name}"
        return self.cache.get(whole_name, digest([self.stamp(), depends_on]), compute)

    def _is_own(self, path: Path) -> bool:
        """Tell whether a file in the folder of arrays is this case's, and not of a case whose name begins alike."""
        rest = path.name.removeprefix(self.files.identifier)
        return rest[:1] in (".", "_") and path.suffix in (".b2nd", ".npy", ".npz")

    def _read_properties(self) -> dict[str, Any]:
        path = self.folder / f"{self.files.identifier}.pkl"
        if not path.is_file():
            raise UserError(
                f"{self.identifier} is not preprocessed for {self.plan.configuration} ({self.folder}); {self._cure}"
            )
        with self._explained(), open(path, "rb") as file:
            return pickle.load(file)

    @property
    def _cure(self) -> str:
        plans, configuration = self.plan.plans["plans_name"], self.plan.configuration
        return f"run nnUNetv2_preprocess -d {self.dataset.name} -plans_name {plans} -c {configuration}."

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


class OpenCase(Case):
    """A case with access to its arrays. What was read stays in memory as long as the object, so keep none for long."""

    @cached_property
    def grid(self) -> Grid:
        """Where the arrays lie in the scan."""
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
        """How the case was normalised: native value = mean + sd * stored value."""
        return Intensity.of(self.dataset, self.plan, self.files)

    def image(self, box: tuple[slice, ...] = (slice(None),) * 3) -> np.ndarray:
        """Return the image (C, Z, Y, X) float32, normalised by nnU-Net; of a box, the rest is not read."""
        return np.asarray(self._arrays[0][(slice(None), *box)], dtype=np.float32)

    def label(self) -> np.ndarray:
        """Return the label (Z, Y, X) int16 in the target dataset's numbering; 0 in the scan's background."""
        stored = self.stored_label
        label = np.where(stored > 0, stored, 0).astype(np.int16)
        for value, target in self.numbering.items():
            label[stored == value] = target
        return label

    def tumour(self) -> np.ndarray:
        """Return (Z, Y, X) int16: the label where it is tumour, else 0."""
        label = self.label()
        return np.where(np.isin(label, self.roles.tumour), label, 0).astype(np.int16)

    def organ(self) -> np.ndarray:
        """Return (Z, Y, X) bool: where tumour may be."""
        if self.roles.organ:
            return np.isin(self.stored_label, (*self.roles.organ, *self.roles.tumour))
        return self.stored_label >= 0

    def body(self) -> np.ndarray:
        """Return (Z, Y, X) bool: the voxels over which nnU-Net normalises.

        Values elsewhere are not all 0, since resampling leaves traces there.
        """
        if self.plan.manager.use_mask_for_norm[0]:
            return self.stored_label >= 0
        return np.ones(self.stored_label.shape, bool)

    @cached_property
    def has_background(self) -> bool:
        """Whether 0 means background here: nnU-Net cropped some away, or marked a good part of the crop as background.

        A few marked voxels do not count: in CT 0 is a value like any other, and some at the scan's edge get marked.
        """
        return self.grid.cropped != self.grid.native_shape or float((self.stored_label < 0).mean()) > BACKGROUND

    @cached_property
    def stored_label(self) -> np.ndarray:
        """The label (Z, Y, X) as stored: -1 where the scan has its background of 0."""
        return np.asarray(self._arrays[1][0])

    @property
    def _arrays(self) -> tuple[Any, Any]:
        return self._read[:2]

    @cached_property
    def _read(self) -> tuple[Any, Any, dict[str, Any]]:
        """Handles of image and label, which read when they are sliced, and the properties."""
        properties = self._read_properties()
        with self._explained():
            kind = _dataset_class(str(self.folder))
            image, label, *_ = kind(str(self.folder), [self.files.identifier]).load_case(self.files.identifier)
        return image, label, properties


@cache
def _dataset_class(folder: str) -> Any:
    """Return nnU-Net's class for reading a folder; kept, since nnU-Net lists the folder to find out."""
    return infer_dataset_class(folder)


def training_cases(files: Mapping[str, CaseFiles], dataset: Dataset, plan: Plan, fold: Fold) -> list[Case]:
    """Return the real training cases of a fold, sorted by identifier; `files` are those of all cases of the dataset."""
    groups = Groups.read(dataset)
    roles = LabelRoles.read(dataset)
    split = fold_split(dataset, fold, list(files))
    check_known_cases(split.train, files, dataset)
    folder = dataset.preprocessed / plan.data_identifier
    return [Case(dataset, plan, files[name], groups[name], roles, folder) for name in sorted(split.train)]
