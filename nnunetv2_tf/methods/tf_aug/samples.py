"""The data that TF-Aug is fitted to. In: sites and real cases. Out: crops for the encoder, features and moments."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt, minimum_filter
from torch import Tensor

from nnunetv2_tf.baseline.class_features import Features, class_means, features_around
from nnunetv2_tf.baseline.encoder import Encoder, new_moments, renormalised
from nnunetv2_tf.geometry.boxes import Box, box_around, centre_of, cut, widened, within
from nnunetv2_tf.geometry.separable import TRUNCATE
from nnunetv2_tf.io.array_files import Arrays
from nnunetv2_tf.methods.base import Site
from nnunetv2_tf.methods.tf_aug.coarse import anchored, coarse
from nnunetv2_tf.methods.tf_aug.config import TFAugConfig
from nnunetv2_tf.methods.tf_aug.donors import Terms, anchors, donors_texture, no_anchors
from nnunetv2_tf.tumours.soft_map import shares_of
from nnunetv2_tf.working_space.blurring import blur
from nnunetv2_tf.working_space.stored import Case

DEEPEST = 1 / 3  # of a tumour's depth: with a wider soft edge little of a small tumour would be left


@dataclass(frozen=True)
class CoarseParts(Terms):
    """The terms of Eq. 1, and how bright classes are to be."""

    anchors: np.ndarray  # (K, C, 3 + 2 K), as `anchored` takes them


def coarse_parts(site: Site, config: TFAugConfig, classes: Sequence[int]) -> tuple[Box, CoarseParts]:
    """Return the box around a site's tumour, and the terms of Eq. 1 in it."""
    spacing = np.array(site.spacing)
    sigma = np.full(3, config.sigma) if config.in_voxels else config.sigma / spacing
    tumour = site.tumour.numpy()
    found = box_around(tumour > 0)
    edge = np.hypot(config.edge_mm / spacing, config.edge_voxels)
    if edge.any():
        widest = float((edge * spacing).max())
        edge *= min(1.0, _depth_up_to(tumour[found] > 0, site.spacing, widest / DEEPEST) * DEEPEST / widest)
    margins = (np.ceil(TRUNCATE * width + 1).astype(int).tolist() for width in (edge, sigma + edge))
    inner, wide = (widened(found, margin, tumour.shape) for margin in margins)  # to blur the one takes the other
    organ, image, here = site.organ.numpy()[wide], site.image.numpy()[(slice(None), *wide)], within(inner, wide)
    blurred = blur(image, organ if config.within_organ else None, sigma.tolist(), here)
    shares = shares_of(tumour[inner], classes, organ[here], edge.tolist())
    x_h = image[(slice(None), *here)]
    detail = config.grain * (x_h - blurred)
    if config.texture:
        detail += config.texture * donors_texture(site, inner, (config.texture_mm / spacing).tolist())
    fixed = no_anchors(len(classes), len(x_h))
    if config.anchored:
        fixed = anchors(site, inner, classes, Terms(x_h, blurred, shares, detail), config.through_edges)
    return inner, CoarseParts(x_h, blurred, shares, detail, fixed)


def _depth_up_to(mask: np.ndarray, spacing: Sequence[float], limit: float) -> float:
    """Return the distance in mm from the surface of a mask of bool to its innermost voxel, or the limit."""
    inside = np.pad(mask, 1)
    cube = [2 * int(limit / step) + 1 for step in spacing]  # around a voxel: it holds a ball as large as the limit
    if np.any(minimum_filter(inside, cube, mode="constant")):
        return limit
    return min(float(np.asarray(distance_transform_edt(inside, sampling=spacing)).max()), limit)


def assemble(parts: CoarseParts, a: Tensor, b: Tensor) -> Tensor:
    """Return the coarse image by Eq. 1, (C, Z, Y, X); b as it is for this case."""
    x_h, blurred, shares, detail = map(torch.from_numpy, (parts.x_h, parts.blurred, parts.shares, parts.detail))
    return coarse(x_h, blurred, shares, a.to(x_h.dtype), b.to(x_h.dtype), detail)


@dataclass(frozen=True)
class Sample:
    """The terms of Eq. 1 for a site, cropped to what the encoder sees."""

    x_h: Tensor  # (C, z, y, x)
    blurred: Tensor  # (C, z, y, x)
    shares: Tensor  # (K, z, y, x)
    detail: Tensor  # (C, z, y, x)
    label: Tensor  # (z, y, x)
    body: Tensor  # (z, y, x) bool
    anchors: Tensor  # (K, C, 3 + 2 K)
    n_norm: int  # voxels that the whole case is normalised over

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return what `from_arrays` takes."""
        return {entry.name: np.asarray(getattr(self, entry.name)) for entry in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> "Sample":
        """Return a sample from its arrays by name."""
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items() if name != "n_norm"}
        return cls(**tensors, n_norm=int(arrays["n_norm"]))


@dataclass(frozen=True)
class SampleMaker:
    """Makes samples of new sites; it is sent to worker processes."""

    sample_site: Callable[[np.random.Generator], Site]
    config: TFAugConfig
    classes: Sequence[int]
    size: Sequence[int]
    seed: int

    def sample(self, *stream: int) -> Sample:
        """Return the sample of a stream of random numbers."""
        site = self.sample_site(np.random.default_rng([self.seed, *stream]))
        return sample_of(site, self.config, self.classes, self.size)

    def arrays(self, *stream: int) -> dict[str, np.ndarray]:
        """Return the same as arrays."""
        return self.sample(*stream).to_arrays()


def sample_of(site: Site, config: TFAugConfig, classes: Sequence[int], size: Sequence[int]) -> Sample:
    """Return a site cropped around the middle of its tumour."""
    box, parts = coarse_parts(site, config, classes)
    image, tumour = site.image.numpy(), site.tumour.numpy()
    blurred, detail = image.copy(), np.zeros_like(image)
    shares = np.zeros((len(classes), *tumour.shape), np.float32)
    for whole, part in ((blurred, parts.blurred), (shares, parts.shares), (detail, parts.detail)):
        whole[(slice(None), *box)] = part
    arrays, centre = (image, blurred, shares, detail, tumour, site.body.numpy()), centre_of(tumour)
    cropped = (torch.from_numpy(cut(array, centre, size)) for array in arrays)
    return Sample(*cropped, anchors=torch.from_numpy(parts.anchors), n_norm=site.n_norm)


@dataclass(frozen=True)
class FeatureExtractor:
    """The encoder, and how images are prepared for it."""

    encoder: Encoder
    classes: tuple[int, ...]
    size: tuple[int, ...]  # of the crops that it sees
    z_scored: tuple[bool, ...]  # by channel
    device: torch.device

    def of_coarse(self, samples: Sequence[Sample], a: Tensor, b: Tensor) -> Features:
        """Return the features of coarse images; gradients reach a and b."""
        host = self._stacked(samples, "x_h")
        label, body = self._stacked(samples, "label"), self._stacked(samples, "body")
        image = self._coarse(samples, a, b)
        seen = renormalised(image, host, [sample.n_norm for sample in samples], body, self.z_scored)
        return Features(*class_means(self.encoder(seen), label, self.classes))

    def normalised_by(self, samples: Sequence[Sample], a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean and sd, (C,) each, that coarse cases are normalised by, averaged over the cases."""
        moments = [
            new_moments(
                self._coarse([sample], torch.from_numpy(a).float(), torch.from_numpy(b).float()),
                self._stacked([sample], "x_h"), [sample.n_norm], self._stacked([sample], "body"), self.z_scored,
            )
            for sample in samples
        ]  # fmt: skip
        mean, sd = (torch.cat(values).mean(dim=0).cpu().numpy() for values in zip(*moments, strict=True))
        return mean, sd

    def _coarse(self, samples: Sequence[Sample], a: Tensor, b: Tensor) -> Tensor:
        x_h, blurred, shares, detail = (self._stacked(samples, name) for name in ("x_h", "blurred", "shares", "detail"))
        a, b, fixed = a.to(self.device), b.to(self.device), self._stacked(samples, "anchors")
        if not fixed.isnan().all():
            b = anchored(a, b, fixed)
        return coarse(x_h, blurred, shares, a, b, detail)

    def _stacked(self, samples: Sequence[Sample], name: str) -> Tensor:
        return torch.stack([getattr(sample, name) for sample in samples]).to(self.device)

    def of_real(self, case: Case) -> Features:
        """Return the features of a real case, cropped around the middle of its tumour."""
        opened = case.open()
        return features_around(opened.image(), opened.tumour(), self.encoder, self.classes, self.size, self.device)


def moments_of_real(cases: Sequence[Case], classes: Sequence[int]) -> Mapping[int, np.ndarray]:
    """Return by class (2, C): mean and sd inside tumours, averaged over the cases that have the class."""
    return _moments(((case.image(), case.tumour()) for case in (case.open() for case in cases)), classes)


def moments_of_coarse(
    samples: Sequence[Sample], classes: Sequence[int]
) -> tuple[Mapping[int, np.ndarray], Mapping[int, np.ndarray]]:
    """Return the same of the blurred hosts, and of the detail that is added to them."""
    labels = [sample.label.numpy() for sample in samples]
    blurred, detail = ([getattr(sample, name).numpy() for sample in samples] for name in ("blurred", "detail"))
    return _moments(zip(blurred, labels, strict=True), classes), _moments(zip(detail, labels, strict=True), classes)


def _moments(volumes: Iterable[tuple[np.ndarray, np.ndarray]], classes: Sequence[int]) -> Mapping[int, np.ndarray]:
    """Return by class (2, C): the moments of images (C, Z, Y, X) where their labels (Z, Y, X) have the class."""
    moments: dict[int, list[np.ndarray]] = {value: [] for value in classes}
    for image, label in volumes:
        for value in classes:
            values = image[:, label == value]
            if values.shape[1] > 1:
                moments[value].append(np.stack([values.mean(axis=1), values.std(axis=1)]))
    return {value: np.mean(of_class, axis=0) for value, of_class in moments.items() if of_class}
