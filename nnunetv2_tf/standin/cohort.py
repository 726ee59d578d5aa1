"""Base of all stand-in cohorts. In: a grid, channels, labels. Out: nnU-Net raw datasets and folders of cases.

Case i depends on (seed, i) only; the same seed gives the same bytes.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.folds import splits_file
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import write_json

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class StandinCohort(ABC):
    """Stand-in cases that share a grid, channels and labels."""

    shape: tuple[int, int, int] = (32, 40, 36)  # Z, Y, X
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)  # Z, Y, X, in mm
    channel_names: tuple[str, ...] = ("t1n",)
    labels: Mapping[str, int | list[int]] = field(default_factory=dict)
    direction: tuple[float, ...] = IDENTITY
    ignore: int | None = None  # value of voxels that nobody labelled

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw one case: (C, Z, Y, X) image and (Z, Y, X) uint8 label."""

    @property
    def regions_class_order(self) -> list[int] | None:
        """nnU-Net's key for labels that are overlapping regions; None for other labels."""
        return None

    def description(self, num_cases: int) -> dict[str, Any]:
        """Return the content of dataset.json."""
        labels = dict(self.labels) | ({} if self.ignore is None else {"ignore": self.ignore})
        order = self.regions_class_order
        return {
            "channel_names": {str(channel): name for channel, name in enumerate(self.channel_names)},
            "labels": labels,
            **({} if order is None else {"regions_class_order": order}),
            "numTraining": num_cases,
            "file_ending": ".nii.gz",
        }

    def write(self, array: np.ndarray, path: Path) -> None:
        """Write one volume (Z, Y, X) with this cohort's geometry."""
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(self.spacing[::-1])
        image.SetDirection(self.direction)
        path.parent.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(image, str(path), useCompression=True)

    def write_cases(self, folder: Path, names: Sequence[str], seed: int) -> None:
        """Write imagesTr and labelsTr with one case for each name."""
        for index, name in enumerate(names):
            image, label = self.draw(np.random.default_rng([seed, index]))
            for channel, volume in enumerate(image):
                self.write(volume, folder / "imagesTr" / f"{name}_{channel:04d}.nii.gz")
            self.write(label, folder / "labelsTr" / f"{name}.nii.gz")

    def write_dataset(self, folder: Path, num_cases: int, seed: int, prefix: str = "case") -> list[str]:
        """Write a whole nnU-Net raw dataset; return the identifiers of its cases."""
        names = [f"{prefix}_{index:03d}" for index in range(num_cases)]
        self.write_cases(folder, names, seed)
        write_json(folder / "dataset.json", self.description(num_cases))
        return names

    def new_dataset(self, dataset: Dataset, num_cases: int, seed: int, num_train: int | None = None) -> None:
        """Write a new dataset, never into one that exists; with `num_train` its single fold too."""
        if num_train is not None and not 0 < num_train < num_cases:
            raise UserError(
                f"-num_train {num_train} of {num_cases} cases leaves one side empty; use 1 to -num_cases - 1."
            )
        if not re.fullmatch(r"Dataset\d{3}_\w+", dataset.name):
            raise UserError(f"{dataset.name!r} is no name for a dataset; use one like Dataset999_StandIns.")
        if dataset.raw.exists():
            raise UserError(f"{dataset.raw} exists already, and stand-ins would be mixed with it; use another -name.")
        names = self.write_dataset(dataset.raw, num_cases, seed)
        if num_train is not None:
            write_json(splits_file(dataset), [{"train": names[:num_train], "val": names[num_train:]}])


def smooth_field(rng: np.random.Generator, shape: Sequence[int], knots: int = 4) -> np.ndarray:
    """Return a smooth random field of about unit amplitude, (Z, Y, X): cubic through `knots` random values per axis."""
    from scipy.ndimage import zoom

    coarse = rng.normal(size=(knots,) * len(shape))
    return np.asarray(zoom(coarse, [size / knots for size in shape], order=3, mode="nearest", grid_mode=True))
