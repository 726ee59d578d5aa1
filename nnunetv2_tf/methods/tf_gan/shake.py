"""Random changes of what is seen. In: patches. Out: the same, of another contrast, brightness and grain each.

Scanners and patients differ by these: a dozen patients are soon known by heart by them, and are not all that there are.
As both sides are changed by draws from the same distribution, the generator is taught what no such draw explains.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nnunetv2_tf.methods.tf_gan.bands import fine_of
from nnunetv2_tf.training.intensity_range import IntensityRange


@dataclass(frozen=True)
class Shake:
    """How each of several patches is changed."""

    contrast: Tensor  # (B,) its z are multiplied by 1 + this
    brightness: Tensor  # (B,) added, in [-1, 1]
    grain: Tensor  # (B,) what neighbours do not share is multiplied by 1 + this

    @classmethod
    def draw(
        cls, sds: tuple[float, float, float], seed: Sequence[int], places: Sequence[int], device: torch.device
    ) -> "Shake | None":
        """Draw one for each patch; None where nothing is to be changed.

        Args:
            sds: standard deviations of contrast, brightness and grain
            seed: of the step and side
            places: of the patches in the whole batch
            device: where to
        """
        if not any(sds):
            return None
        drawn = np.stack([np.random.default_rng([*seed, place]).normal(size=3) * sds for place in places])
        return cls(*torch.from_numpy(drawn.astype(np.float32)).T.to(device))

    def applied(self, z: Tensor, body: Tensor, domain: IntensityRange) -> Tensor:
        """Return patches changed within the body.

        Args:
            z: (B, C, Z, Y, X)
            body: (B, Z, Y, X) bool
            domain: what [-1, 1] stands for
        """
        drawn = (self.contrast, self.brightness, self.grain)
        contrast, brightness, grain = (values.reshape(-1, 1, 1, 1, 1) for values in drawn)
        added = domain.denormalise_difference(brightness.expand_as(z))
        inside = body[:, None]
        changed = (z + grain * fine_of(z, inside.to(z.dtype))) * (1 + contrast) + added
        return torch.where(inside, changed, z)
