"""Both sides of a batch. In: the batch as Patches makes it. Out: fake and real patches on the device, augmented.

Both are augmented by draws from the same distribution: a blur on one side alone would tell them apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from nnunetv2_tf.training.augmentation import RandomAffine
from nnunetv2_tf.training.precision import to_device

OF_FAKE, OF_REAL = 6, 7  # streams of random numbers; patches have 0 to 3
AWAY = 1000.0  # mm from the tumour, for what a rotation brings in from beyond the patch
FAKE = ("host", "coarse", "tumour", "body", "organ", "distance", "n_norm", "beyond")  # names of arrays in a batch
REAL = ("real_image", "real_tumour", "real_body", "real_organ", "real_distance")

Spacing = tuple[float, float, float]


@dataclass(frozen=True)
class Fake:
    """Fake patches, before G refines them; intensities are z, as nnU-Net normalises."""

    host: Tensor  # (B, C, Z, Y, X)
    coarse: Tensor  # (B, C, Z, Y, X)
    tumour: Tensor  # (B, Z, Y, X)
    body: Tensor  # (B, Z, Y, X) bool
    organ: Tensor  # (B, Z, Y, X) bool
    distance: Tensor  # (B, Z, Y, X) mm to the tumour
    n_norm: Tensor  # (B,) voxels that each whole case is normalised over
    beyond: Tensor  # (B, 2, C) sums over the rest of the case, by which `renormalised` corrects

    def augmented(self, affines: Sequence[RandomAffine], spacing: Spacing) -> "Fake":
        """Return the same patches, each moved by its affine."""
        host, coarse, nearness = _moved((self.host, self.coarse, AWAY - self.distance), affines, spacing)
        tumour, body, organ = _moved((self.tumour, self.body, self.organ), affines, spacing, nearest=True)
        return replace(
            self, host=host, coarse=coarse, distance=AWAY - nearness, tumour=tumour, body=body, organ=organ
        )  # fmt: skip


@dataclass(frozen=True)
class Real:
    """Real patches; intensities are z, as nnU-Net normalises."""

    image: Tensor  # (B, C, Z, Y, X)
    tumour: Tensor  # (B, Z, Y, X)
    body: Tensor  # (B, Z, Y, X) bool
    organ: Tensor  # (B, Z, Y, X) bool
    distance: Tensor  # (B, Z, Y, X) mm to the tumour

    def augmented(self, affines: Sequence[RandomAffine], spacing: Spacing) -> "Real":
        """Return the same patches, each moved by its affine."""
        image, nearness = _moved((self.image, AWAY - self.distance), affines, spacing)
        tumour, body, organ = _moved((self.tumour, self.body, self.organ), affines, spacing, nearest=True)
        return Real(image, tumour, body, organ, AWAY - nearness)


def both_sides(
    batch: Mapping[str, Tensor], device: torch.device, spacing: Spacing, seed: Sequence[int] | None
) -> tuple[Fake, Real]:
    """Return a batch on the device, augmented; a patch's draw is the same whichever process has the patch.

    Args:
        batch: as Patches makes it
        device: where to
        spacing: mm
        seed: of the step; None: nothing is augmented
    """
    return fake_side(batch, device, spacing, seed), real_side(batch, device, spacing, seed)


def fake_side(
    batch: Mapping[str, Tensor], device: torch.device, spacing: Spacing, seed: Sequence[int] | None
) -> Fake:  # fmt: skip
    """Return the fake patches alone; arguments as of `both_sides`."""
    fake = Fake(*(to_device(batch[name], device) for name in FAKE))
    return fake if seed is None else fake.augmented(_affines(batch, [*seed, OF_FAKE], spacing), spacing)


def real_side(
    batch: Mapping[str, Tensor], device: torch.device, spacing: Spacing, seed: Sequence[int] | None
) -> Real:  # fmt: skip
    """Return the real patches alone; arguments as of `both_sides`."""
    real = Real(*(to_device(batch[name], device) for name in REAL))
    return real if seed is None else real.augmented(_affines(batch, [*seed, OF_REAL], spacing), spacing)


def places_of(batch: Mapping[str, Tensor]) -> list[int]:
    """Return the places of a process's patches in the whole batch."""
    return batch["place"].tolist()


def _affines(batch: Mapping[str, Tensor], stream: Sequence[int], spacing: Spacing) -> list[RandomAffine]:
    return [RandomAffine.sample(np.random.default_rng([*stream, place]), spacing) for place in places_of(batch)]


def _moved(
    volumes: Sequence[Tensor], affines: Sequence[RandomAffine], spacing: Spacing, nearest: bool = False
) -> list[Tensor]:
    """Return volumes (B, C, Z, Y, X) or (B, Z, Y, X), moved together, each patch by its affine."""
    joined = torch.cat([volume if volume.ndim == 5 else volume[:, None].float() for volume in volumes], dim=1)
    moved = torch.stack([affine.apply(patch, spacing, nearest) for patch, affine in zip(joined, affines, strict=True)])
    parts = moved.split([volume.shape[1] if volume.ndim == 5 else 1 for volume in volumes], dim=1)
    return [part.reshape(volume.shape).to(volume.dtype) for part, volume in zip(parts, volumes, strict=True)]
