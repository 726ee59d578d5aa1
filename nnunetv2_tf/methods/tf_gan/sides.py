"""Both sides of a batch. In: the batch as Patches makes it. Out: fake and real patches on the device, augmented.

Both are augmented by draws from the same distribution: a blur on one side alone would tell them apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nnunetv2_tf.training.augmentation import RandomAffine
from nnunetv2_tf.training.precision import to_device
from nnunetv2_tf.training.real_patches import AWAY, Real, Spacing, affines_of, moved

OF_FAKE, OF_REAL = 6, 7  # streams of random numbers; patches have 0 to 3
FAKE = ("host", "coarse", "tumour", "body", "organ", "distance", "n_norm", "beyond")  # names of arrays in a batch


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
        host, coarse, nearness = moved((self.host, self.coarse, AWAY - self.distance), affines, spacing)
        tumour, body, organ = moved((self.tumour, self.body, self.organ), affines, spacing, nearest=True)
        return replace(
            self, host=host, coarse=coarse, distance=AWAY - nearness, tumour=tumour, body=body, organ=organ
        )  # fmt: skip


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
    return fake if seed is None else fake.augmented(affines_of(batch, [*seed, OF_FAKE], spacing), spacing)


def real_side(
    batch: Mapping[str, Tensor], device: torch.device, spacing: Spacing, seed: Sequence[int] | None
) -> Real:  # fmt: skip
    """Return the real patches alone; arguments as of `both_sides`."""
    return Real.of(batch, device, spacing, None if seed is None else [*seed, OF_REAL])
