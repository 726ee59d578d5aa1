"""Spheres in an ellipsoid: the smallest thing that looks like a brain with a tumour to nnU-Net.

Out: nnU-Net raw datasets, folders of foreign cases. The same seed gives the same bytes.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter

from nnunetv2_tf.errors import UserError
from nnunetv2_tf.folders import Dataset
from nnunetv2_tf.work import write_json

CLASSES = {"background": 0, "NCR": 1, "ED": 2, "ET": 3}
REGIONS = {"background": 0, "WT": [1, 2, 3], "TC": [1, 3], "ET": [3]}
REGIONS_CLASS_ORDER = [2, 1, 3]
BRIGHTNESS = {0: 300.0, 1: 200.0, 2: 380.0, 3: 480.0}  # of the organ and the classes


@dataclass(frozen=True)
class Spheres:
    """What the cases of one stand-in dataset share."""

    shape: tuple[int, int, int] = (32, 40, 36)  # Z, Y, X
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)  # Z, Y, X, in mm
    channel_names: tuple[str, ...] = ("t1n",)
    labels: Mapping[str, int | list[int]] = field(default_factory=lambda: dict(CLASSES))
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    ignore: int | None = None  # value of voxels that nobody labelled

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """One case: (C, Z, Y, X) int16 that is 0 outside the organ, and (Z, Y, X) uint8."""
        axes = np.meshgrid(*(np.linspace(-1, 1, size) for size in self.shape), indexing="ij")
        position = np.stack(axes)
        radii = rng.uniform(0.72, 0.85, size=3)
        organ = ((position / radii[:, None, None, None]) ** 2).sum(0) < 1
        direction = rng.normal(size=3)
        centre = 0.35 * radii * direction / np.linalg.norm(direction)
        distance = np.linalg.norm(position - centre[:, None, None, None], axis=0)
        outer = rng.uniform(0.3, 0.45)
        label = np.zeros(self.shape, np.uint8)
        for value, share in ((2, 1.0), (3, 0.7), (1, 0.4)):
            label[(distance < share * outer) & organ] = min(value, self.classes)
        image = np.stack([self._channel(rng, label, organ, 1 + 0.3 * channel) for channel in range(self.channels)])
        if self.ignore is not None:
            label[0 : self.shape[0] // 6] = self.ignore
        return image, label

    @property
    def classes(self) -> int:
        """How many classes the tumour has, three at most."""
        values = [value if isinstance(value, list) else [value] for value in self.labels.values()]
        return min(3, max(max(several) for several in values))

    @property
    def channels(self) -> int:
        """How many images a case has."""
        return len(self.channel_names)

    def description(self, num_cases: int) -> dict[str, Any]:
        """The dataset.json."""
        labels = dict(self.labels) | ({} if self.ignore is None else {"ignore": self.ignore})
        regions = any(isinstance(value, list) for value in labels.values())
        return {
            "channel_names": {str(channel): name for channel, name in enumerate(self.channel_names)},
            "labels": labels,
            **({"regions_class_order": REGIONS_CLASS_ORDER} if regions else {}),
            "numTraining": num_cases,
            "file_ending": ".nii.gz",
        }

    def write(self, array: np.ndarray, path: Path) -> None:
        """Writes one volume (Z, Y, X) with this dataset's geometry."""
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(self.spacing[::-1])
        image.SetDirection(self.direction)
        path.parent.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(image, str(path), useCompression=True)

    def write_cases(self, folder: Path, names: Sequence[str], seed: int) -> None:
        """Writes imagesTr and labelsTr; case i depends on (seed, i) only."""
        for index, name in enumerate(names):
            image, label = self.draw(np.random.default_rng([seed, index]))
            for channel, volume in enumerate(image):
                self.write(volume, folder / "imagesTr" / f"{name}_{channel:04d}.nii.gz")
            self.write(label, folder / "labelsTr" / f"{name}.nii.gz")

    def write_dataset(self, folder: Path, num_cases: int, seed: int, prefix: str = "case") -> None:
        """Writes a whole nnU-Net raw dataset."""
        self.write_cases(folder, [f"{prefix}_{index:03d}" for index in range(num_cases)], seed)
        write_json(folder / "dataset.json", self.description(num_cases))

    def _channel(self, rng: np.random.Generator, label: np.ndarray, organ: np.ndarray, gain: float) -> np.ndarray:
        bright = np.vectorize(BRIGHTNESS.__getitem__, otypes=[float])(label)
        texture = gaussian_filter(rng.normal(size=self.shape), 3) * 250 + rng.normal(size=self.shape) * 15
        scanner = gain * rng.uniform(0.7, 1.3)
        return np.where(organ, np.clip(scanner * (bright + texture), 1, 32000), 0).astype(np.int16)


def new_dataset(dataset: Dataset, num_cases: int, seed: int) -> None:
    """Writes a dataset of its own; never into one that exists."""
    if not re.fullmatch(r"Dataset\d{3}_\w+", dataset.name):
        raise UserError(f"{dataset.name!r} is no name for a dataset; use one like Dataset999_Spheres.")
    if dataset.raw.exists():
        raise UserError(f"{dataset.raw} exists already, and stand-ins would be mixed with it; use another -name.")
    Spheres().write_dataset(dataset.raw, num_cases, seed)
