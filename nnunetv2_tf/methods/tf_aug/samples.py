"""What TF-Aug is fitted on. In: sites and real cases. Out: crops for the encoder, and real tumours' features."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from nnunetv2_tf.baseline.crops import Box, box_around, cut, middle
from nnunetv2_tf.baseline.encoder import Encoder, new_moments, renormalised
from nnunetv2_tf.baseline.features import Features, features_around
from nnunetv2_tf.baseline.pooling import class_means
from nnunetv2_tf.methods.base import Site
from nnunetv2_tf.methods.tf_aug.coarse import coarse, shares_of, texture
from nnunetv2_tf.methods.tf_aug.config import TFAugConfig
from nnunetv2_tf.preparation.blurring import TRUNCATE, blur
from nnunetv2_tf.preparation.stored import Case

DEEPEST = 1 / 3  # of a tumour's depth: a wider edge would leave little of a small one


@dataclass(frozen=True)
class Parts:
    """What Eq. 1 puts together, for a part of a site."""

    x_h: np.ndarray  # (C, Z, Y, X)
    blurred: np.ndarray  # (C, Z, Y, X)
    shares: np.ndarray  # (K, Z, Y, X)
    detail: np.ndarray  # (C, Z, Y, X)


def parts_of(site: Site, config: TFAugConfig, classes: Sequence[int]) -> tuple[Box, Parts]:
    """The ingredients around a site's tumour, and where that is."""
    spacing = np.array(site.spacing)
    sigma = np.full(3, config.sigma) if config.in_voxels else config.sigma / spacing
    tumour = site.tumour.numpy()
    edge = np.hypot(config.edge_mm / spacing, config.edge_voxels)
    edge *= min(1.0, _depth(tumour, site.spacing) * DEEPEST / float((edge * spacing).max())) if edge.any() else 1.0
    reach, more = (np.ceil(TRUNCATE * width + 1).astype(int).tolist() for width in (edge, sigma + edge))
    inner, wide = (box_around(tumour > 0, margin) for margin in (reach, more))  # the blur of the inner needs the wide
    organ, image = site.organ.numpy()[wide], site.image.numpy()[(slice(None), *wide)]
    here = tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(inner, wide, strict=True))
    blurred = blur(image, organ if config.within_organ else None, sigma.tolist())
    shares = shares_of(tumour[inner], classes, organ[here], edge.tolist())
    x_h, blurred = image[(slice(None), *here)], blurred[(slice(None), *here)]
    detail = config.grain * (x_h - blurred)
    if config.texture:
        detail += config.texture * _texture(site, inner, config.texture_mm / spacing)
    return inner, Parts(x_h, blurred, shares, detail)


def _depth(tumour: np.ndarray, spacing: Sequence[float]) -> float:
    """Mm from the surface to the innermost voxel."""
    inside = np.pad(tumour[box_around(tumour > 0, (0, 0, 0))] > 0, 1)
    return float(np.asarray(distance_transform_edt(inside, sampling=spacing)).max())


def _texture(site: Site, box: Box, sigma: np.ndarray) -> np.ndarray:
    """(C, Z, Y, X) of the donors, in a box; where two overlap, that of the first one whose class was placed there."""
    found = np.zeros(site.image[(slice(None), *box)].shape, np.float32)
    waiting = site.tumour.numpy()[box] > 0
    for donor in site.donors:
        tumour = np.where(donor.organ[box], donor.tumour[box], 0)
        if tumour.any():
            own = texture(donor.image[(slice(None), *box)].numpy(), tumour, sigma.tolist())
            here = waiting & (tumour == site.tumour.numpy()[box])
            np.copyto(found, own, where=here)
            waiting &= ~here
    return found


def put_together(parts: Parts, a: Tensor, b: Tensor) -> Tensor:
    """Eq. 1, (C, Z, Y, X)."""
    x_h, blurred, shares, detail = map(torch.from_numpy, (parts.x_h, parts.blurred, parts.shares, parts.detail))
    return coarse(x_h, blurred, shares, a.to(x_h.dtype), b.to(x_h.dtype), detail)


@dataclass(frozen=True)
class Sample:
    """A site cut to what the encoder sees."""

    x_h: Tensor  # (C, z, y, x)
    blurred: Tensor  # (C, z, y, x)
    shares: Tensor  # (K, z, y, x)
    detail: Tensor  # (C, z, y, x)
    label: Tensor  # (z, y, x)
    body: Tensor  # (z, y, x) bool
    n_norm: int


def sample_of(site: Site, config: TFAugConfig, classes: Sequence[int], size: Sequence[int]) -> Sample:
    """Around the middle of its tumour."""
    box, parts = parts_of(site, config, classes)
    image, tumour = site.image.numpy(), site.tumour.numpy()
    blurred, detail = image.copy(), np.zeros_like(image)
    shares = np.zeros((len(classes), *tumour.shape), np.float32)
    for whole, part in ((blurred, parts.blurred), (shares, parts.shares), (detail, parts.detail)):
        whole[(slice(None), *box)] = part
    arrays, centre = (image, blurred, shares, detail, tumour, site.body.numpy()), middle(tumour)
    return Sample(*(torch.from_numpy(cut(array, centre, size)) for array in arrays), n_norm=site.n_norm)


@dataclass(frozen=True)
class Eye:
    """The encoder, and how images are brought before it."""

    encoder: Encoder
    classes: tuple[int, ...]
    size: tuple[int, ...]  # of what it sees
    z_scored: tuple[bool, ...]  # by channel
    device: torch.device

    def of_coarse(self, samples: Sequence[Sample], a: Tensor, b: Tensor) -> Features:
        """Features of coarse images; gradients reach a and b."""
        host = self._stacked(samples, "x_h")
        label, body = self._stacked(samples, "label"), self._stacked(samples, "body")
        image = self._coarse(samples, a, b)
        seen = renormalised(image, host, [sample.n_norm for sample in samples], body, self.z_scored)
        return Features(*class_means(self.encoder(seen), label, self.classes))

    def normalised_by(self, samples: Sequence[Sample], a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(C,) each: mean and sd that coarse cases are normalised by, averaged over them."""
        found = [
            new_moments(
                self._coarse([sample], torch.from_numpy(a).float(), torch.from_numpy(b).float()),
                self._stacked([sample], "x_h"), [sample.n_norm], self._stacked([sample], "body"), self.z_scored,
            )
            for sample in samples
        ]  # fmt: skip
        mean, sd = (torch.cat(several).mean(dim=0).cpu().numpy() for several in zip(*found, strict=True))
        return mean, sd

    def _coarse(self, samples: Sequence[Sample], a: Tensor, b: Tensor) -> Tensor:
        x_h, blurred, shares, detail = (self._stacked(samples, name) for name in ("x_h", "blurred", "shares", "detail"))
        return coarse(x_h, blurred, shares, a.to(self.device), b.to(self.device), detail)

    def _stacked(self, samples: Sequence[Sample], name: str) -> Tensor:
        return torch.stack([getattr(sample, name) for sample in samples]).to(self.device)

    def of_real(self, case: Case) -> Features:
        """Features of a real case, around the middle of its tumour."""
        case = replace(case)
        return features_around(case.image(), case.tumour(), self.encoder, self.classes, self.size, self.device)


def moments_of_real(cases: Sequence[Case], classes: Sequence[int]) -> Mapping[int, np.ndarray]:
    """By class: (2, C) mean and standard deviation inside a tumour, averaged over the cases that have it."""
    return _moments(((case.image(), case.tumour()) for case in map(replace, cases)), classes)


def moments_of_coarse(
    samples: Sequence[Sample], classes: Sequence[int]
) -> tuple[Mapping[int, np.ndarray], Mapping[int, np.ndarray]]:
    """The same of the blurred hosts, and of the detail."""
    labels = [sample.label.numpy() for sample in samples]
    blurred, detail = ([getattr(sample, name).numpy() for sample in samples] for name in ("blurred", "detail"))
    return _moments(zip(blurred, labels, strict=True), classes), _moments(zip(detail, labels, strict=True), classes)


def _moments(volumes: Iterable[tuple[np.ndarray, np.ndarray]], classes: Sequence[int]) -> Mapping[int, np.ndarray]:
    """Of images (C, Z, Y, X), where labels (Z, Y, X) have a class."""
    found: dict[int, list[np.ndarray]] = {value: [] for value in classes}
    for image, label in volumes:
        for value in classes:
            values = image[:, label == value]
            if values.shape[1] > 1:
                found[value].append(np.stack([values.mean(axis=1), values.std(axis=1)]))
    return {value: np.mean(several, axis=0) for value, several in found.items() if several}
