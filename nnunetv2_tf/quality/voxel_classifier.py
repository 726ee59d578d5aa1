"""A fast segmentor: one decision for every voxel, by boosted trees. In: cases. Out: labels of other cases.

It is trained in seconds, and so tells within minutes whether a set is worth training on: a first guess, since what it
sees of a voxel's surroundings is little beside what nnU-Net sees.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter, gaussian_gradient_magnitude

from nnunetv2_tf.geometry.boxes import box_around

SCALES = (2.5, 5.0, 10.0)  # mm, standard deviations
SIDES = (3.0, 8.0)  # mm, of the blur before left and right are compared
PLACE = 4  # figures that tell where a voxel is, the last ones of its features
SAMPLED = 3000  # voxels of a case, half of them tumour
TREES = 80


@dataclass(frozen=True)
class Scan:
    """A case to learn from or to segment."""

    image: np.ndarray  # (C, Z, Y, X)
    label: np.ndarray  # (Z, Y, X) classes of the tumour, 0 elsewhere
    organ: np.ndarray  # (Z, Y, X) bool
    spacing: tuple[float, float, float]
    sideways: int  # the axis from left to right


@dataclass(frozen=True)
class Samples:
    """Voxels to learn from."""

    features: np.ndarray  # (n, F) float32
    labels: np.ndarray  # (n,)
    weights: np.ndarray  # (n,): how many voxels of its case each stands for

    @classmethod
    def joined(cls, parts: Iterable["Samples"]) -> "Samples":
        """Return all samples as one."""
        fields = zip(*((part.features, part.labels, part.weights) for part in parts), strict=True)
        return cls(*(np.concatenate(field) for field in fields))


def voxel_features(scan: Scan) -> np.ndarray:
    """Return (n, F) float32 for the organ's voxels in C order: brightness at four scales, gradients, sides, place."""
    box = box_around(scan.organ)
    organ = scan.organ[box]
    planes: list[np.ndarray] = []
    for channel in scan.image:
        image = np.where(organ, channel[box], 0).astype(np.float32)
        planes.append(image)
        for scale in SCALES:
            sigma = [scale / step for step in scan.spacing]
            planes += [gaussian_filter(image, sigma), gaussian_gradient_magnitude(image, sigma)]
        for scale in SIDES:
            smooth = gaussian_filter(image, [scale / step for step in scan.spacing])
            planes.append(smooth - np.flip(smooth, scan.sideways))
    places = [
        np.broadcast_to(
            np.linspace(0, 1, size).reshape([-1 if axis == other else 1 for other in range(3)]), organ.shape
        )
        for axis, size in enumerate(organ.shape)
    ]
    places[scan.sideways] = np.abs(places[scan.sideways] - 0.5)
    places.append(np.asarray(distance_transform_edt(organ, sampling=scan.spacing)))
    return np.stack([plane[organ] for plane in (*planes, *places)], axis=1).astype(np.float32)


def sampled(scan: Scan, rng: np.random.Generator) -> Samples:
    """Draw voxels of a scan, half of them tumour, each weighted by how many it stands for."""
    features, labels = voxel_features(scan), scan.label[scan.organ]
    drawn, weights = [], []
    for side in (labels > 0, labels == 0):
        places = np.flatnonzero(side)
        number = min(SAMPLED // 2, len(places))
        drawn.append(rng.choice(places, number, replace=False))
        weights.append(np.full(number, len(places) / max(number, 1)))
    indices = np.concatenate(drawn)
    return Samples(features[indices], labels[indices], np.concatenate(weights))


class VoxelClassifier:
    """Boosted trees over voxels' features."""

    def __init__(self, seed: int, only_place: bool = False) -> None:
        """Set up.

        Args:
            seed: of the trees
            only_place: see nothing but where a voxel is
        """
        from sklearn.ensemble import HistGradientBoostingClassifier

        self.features = slice(-PLACE, None) if only_place else slice(None)
        self.trees = HistGradientBoostingClassifier(
            max_iter=TREES, learning_rate=0.15, max_leaf_nodes=31, min_samples_leaf=40, l2_regularization=1.0,
            early_stopping=False, random_state=seed,  # pyright: ignore[reportArgumentType]
        )  # fmt: skip

    def fit(self, samples: Samples) -> "VoxelClassifier":
        """Learn."""
        self.trees.fit(samples.features[:, self.features], samples.labels, sample_weight=samples.weights)
        return self

    def segmentation(self, scan: Scan, features: np.ndarray) -> np.ndarray:
        """Return (Z, Y, X) labels of a scan, whose features these are."""
        label = np.zeros(scan.label.shape, scan.label.dtype)
        label[scan.organ] = self.trees.predict(features[:, self.features])
        return label
