"""Batches of real patches. In: arrays as workers make them. Out: patches on the device, turned and mirrored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nnunetv2_tf.training.augmentation import RandomAffine
from nnunetv2_tf.training.precision import to_device

AWAY = 1000.0  # mm from the tumour, for what a rotation brings in from beyond the patch
REAL = ("real_image", "real_tumour", "real_body", "real_organ", "real_distance")  # names of arrays in a batch

Spacing = tuple[float, float, float]


@dataclass(frozen=True)
class Real:
    """Real patches; intensities are z, as nnU-Net normalises."""

    image: Tensor  # (B, C, Z, Y, X)
    tumour: Tensor  # (B, Z, Y, X)
    body: Tensor  # (B, Z, Y, X) bool
    organ: Tensor  # (B, Z, Y, X) bool
    distance: Tensor  # (B, Z, Y, X) mm to the tumour

    @classmethod
    def of(
        cls, batch: Mapping[str, Tensor], device: torch.device, spacing: Spacing, stream: Sequence[int] | None
    ) -> "Real":
        """Return a batch's real patches on the device, augmented.

        Args:
            batch: with arrays REAL, and `place`, the patches' places in the whole batch
            device: where to
            spacing: mm
            stream: of random numbers; None: nothing is augmented
        """
        real = cls(*(to_device(batch[name], device) for name in REAL))
        return real if stream is None else real.augmented(affines_of(batch, stream, spacing), spacing)

    def augmented(self, affines: Sequence[RandomAffine], spacing: Spacing) -> "Real":
        """Return the same patches, each moved by its affine."""
        image, nearness = moved((self.image, AWAY - self.distance), affines, spacing)
        tumour, body, organ = moved((self.tumour, self.body, self.organ), affines, spacing, nearest=True)
        return Real(image, tumour, body, organ, AWAY - nearness)


def places_of(batch: Mapping[str, Tensor]) -> list[int]:
    """Return the places of a process's patches in the whole batch."""
    return batch["place"].tolist()


def affines_of(batch: Mapping[str, Tensor], stream: Sequence[int], spacing: Spacing) -> list[RandomAffine]:
    """Draw an augmentation for each patch; it is the same whichever process has the patch."""
    return [RandomAffine.sample(np.random.default_rng([*stream, place]), spacing) for place in places_of(batch)]


def moved(
    volumes: Sequence[Tensor], affines: Sequence[RandomAffine], spacing: Spacing, nearest: bool = False
) -> list[Tensor]:
    """Return volumes (B, C, Z, Y, X) or (B, Z, Y, X), moved together, each patch by its affine."""
    joined = torch.cat([volume if volume.ndim == 5 else volume[:, None].float() for volume in volumes], dim=1)
    after = torch.stack([affine.apply(patch, spacing, nearest) for patch, affine in zip(joined, affines, strict=True)])
    parts = after.split([volume.shape[1] if volume.ndim == 5 else 1 for volume in volumes], dim=1)
    return [part.reshape(volume.shape).to(volume.dtype) for part, volume in zip(parts, volumes, strict=True)]
