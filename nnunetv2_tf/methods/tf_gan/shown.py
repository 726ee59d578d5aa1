"""What discriminator D and encoder F are shown. In: images, fake or real. Out: them as far as they are visible.

Visible is what the generator may change, and as much as it may change it: the tumour and its reach, not the organ's
rim. Further away real and healthy cohorts differ by their scanners and by how brains were extracted. If D saw that, G
would paint inside tumours what D misses around them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from nnunetv2_tf.baseline.class_features import pooled_to
from nnunetv2_tf.geometry.feather import feather
from nnunetv2_tf.methods.tf_gan.bands import bands_of
from nnunetv2_tf.methods.tf_gan.networks import Design, Generator, blended, one_hot
from nnunetv2_tf.methods.tf_gan.shake import Shake
from nnunetv2_tf.methods.tf_gan.sides import Fake
from nnunetv2_tf.training.intensity_range import DARKEST
from nnunetv2_tf.training.precision import Acceleration
from nnunetv2_tf.training.real_patches import Real

LEAST = 1e-6  # variance of a channel
SEEN = 0.5  # visibility from which on a voxel counts as seen


@dataclass(frozen=True)
class Shown:
    """Images as D and F see them."""

    x: Tensor  # (B, C, Z, Y, X) in [-1, 1], dark where it is not visible
    m: Tensor  # (B, K, Z, Y, X) the tumour map, a channel per class
    visible: Tensor  # (B, 1, Z, Y, X) from 0 to 1
    features: tuple[Tensor, ...]  # (B, F, z, y, x) of each of F's stages
    bands: Tensor  # (B, 3 C, Z, Y, X): of x what is fine, what is coarser, and the rest

    def visible_part(self, tumour: Tensor) -> Tensor:
        """Return a map (B, Z, Y, X) where it is seen, and 0 elsewhere: what is dark says nothing of tumours."""
        return tumour * (self.visible[:, 0] >= SEEN)

    def detached(self) -> "Shown":
        """Return the same without gradients."""
        features = tuple(stage.detach() for stage in self.features)
        return replace(self, x=self.x.detach(), features=features, bands=self.bands.detach())


@dataclass(frozen=True)
class FeatureScale:
    """Mean and standard deviation of features in real tumours: by these, none counts more than another."""

    means: tuple[Tensor, ...]  # (F,) of each of F's stages, and of the bands
    sds: tuple[Tensor, ...]

    @classmethod
    def of(cls, shown: Iterable[Shown]) -> "FeatureScale":
        """Measure it in real patches."""
        stages = [torch.stack(moments).sum(dim=0) for moments in zip(*(_moments(one) for one in shown), strict=True)]
        means, sds = [], []
        for number, total, square in stages:
            if not number.any():  # the rim hides all of them; features are taken as they are
                total, square, number = torch.zeros_like(total), torch.ones_like(square), torch.ones_like(number)
            means.append((total / number).float())
            sds.append((square / number - (total / number) ** 2).clamp_min(LEAST).sqrt().float())
        return cls(tuple(means), tuple(sds))

    def features(self, shown: Shown) -> list[Tensor]:
        """Return (B, F, z, y, x) of each of F's stages, each channel of mean 0 and sd 1 in real tumours."""
        return [self._scaled(stage, index) for index, stage in enumerate(shown.features)]

    def bands(self, shown: Shown) -> Tensor:
        """Return the bands in the same way."""
        return self._scaled(shown.bands, len(self.means) - 1)

    def _scaled(self, features: Tensor, index: int) -> Tensor:
        mean, sd = (values[index].reshape(-1, 1, 1, 1) for values in (self.means, self.sds))
        return (features - mean) / sd


def _moments(shown: Shown) -> list[Tensor]:
    """Return (3, F) for each stage and for the bands: how much tumour there is, the sums of features, of squares."""
    moments = []
    for features in (*shown.features, shown.bands):
        tumour = pooled_to(shown.m.sum(dim=1, keepdim=True) * shown.visible, features).double()
        parts = [(tumour * features.double() ** power).sum(dim=(0, 2, 3, 4)) for power in range(3)]
        moments.append(torch.stack(parts))
    return moments


@dataclass(frozen=True)
class View:
    """Shows images."""

    design: Design
    encode: nn.Module  # F
    acceleration: Acceleration

    def refined(self, generator: Generator, fake: Fake, depth: Tensor) -> Tensor:
        """Return what a generator makes of coarse images, (B, C, Z, Y, X), z, as it will be written.

        Args:
            generator: compiled or not
            fake: with the coarse images
            depth: (B, Z, Y, X) its weight by depth in the organ
        """
        added = generator(self.design.domain.normalise(fake.coarse, fake.body), self._maps(fake))
        return blended(fake.coarse, generator.refined(fake.coarse, added, depth), self._share(fake))

    def _share(self, side: Fake | Real) -> Tensor:
        """Return (B, Z, Y, X): how much of what the generator writes counts."""
        return feather(side.distance, self.design.reach_mm) * side.organ

    def _maps(self, side: Fake | Real) -> Tensor:
        """Return (B, K, Z, Y, X): the tumour map, a channel per class."""
        return one_hot(side.tumour, self.design.classes)

    def _visible(self, side: Fake | Real, depth: Tensor) -> Tensor:
        """Return (B, 1, Z, Y, X): how visible each place is, `depth` being the generator's weight by depth.

        Where the generator writes all of the organ, all of the patch is visible.
        """
        share = torch.ones_like(depth) if self.design.reach_mm is None else self._share(side)
        return (share * depth)[:, None]

    def of(self, z: Tensor, side: Fake | Real, depth: Tensor, shake: Shake | None = None) -> Shown:
        """Show images.

        Args:
            z: (B, C, Z, Y, X) as nnU-Net normalises
            side: which they are of
            depth: (B, Z, Y, X) weight by depth in the organ
            shake: how what is seen is changed
        """
        if shake:
            z = shake.applied(z, side.body, self.design.domain)
        visible = self._visible(side, depth)
        x = DARKEST + visible * (self.design.domain.normalise(z, side.body) - DARKEST)
        with self.acceleration.autocast(z.device):
            features = self.encode(visible * z)
        stages = tuple(one.float() for one in features)
        return Shown(x, self._maps(side), visible, stages, bands_of(x, visible))

    def of_real(self, generator: Generator, real: Real, shake: Shake | None = None) -> Shown:
        """Show real images."""
        with torch.no_grad():
            return self.of(real.image, real, generator.depth_weight(real.organ), shake)
