"""Discriminators of patches and of whole images. In: an image, its tumour map, what is visible. Out: a verdict.

Logits are positive for real. A verdict has logits of places, as a PatchGAN's, and one for the whole image, which is
taken from features averaged over it. All averages count what is visible, and nothing else: most of a patch is dark on
both sides, where nothing can be told.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from nnunetv2_tf.baseline.class_features import pooled_to
from nnunetv2_tf.networks.levels import Levels

SLOPE = 0.2  # of the leaky rectifiers, as in pix2pix


class Verdict(NamedTuple):
    """What a discriminator says of images."""

    places: tuple[Tensor, ...]  # (B, 1, z, y, x) logits of each patch head
    visible: tuple[Tensor, ...]  # (B, 1, z, y, x) how visible each place is
    whole: Tensor  # (B, 1) logits

    def scores(self) -> Tensor:
        """Return (B,): the mean logit of visible places, over all patch heads."""
        means = [visible_mean(logits, seen)[:, 0] for logits, seen in zip(self.places, self.visible, strict=True)]
        return torch.stack(means).mean(dim=0)


def visible_mean(values: Tensor, visible: Tensor) -> Tensor:
    """Return (B, F): the mean of (B, F, z, y, x), weighted by (B, 1, z, y, x); 0 where nothing is visible."""
    total = (values * visible).sum(dim=(2, 3, 4))
    return total / visible.sum(dim=(2, 3, 4)).clamp_min(1e-6)


class DualHead(nn.Module):
    """As in the paper: strided convolutions, one for each level below the first, with a patch and a global head."""

    def __init__(self, channels: int, features: Sequence[int], levels: Levels, tap: int) -> None:
        """Build the network.

        Args:
            channels: number in the image and the map together
            features: number after each stage
            levels: give the strides of the stages
            tap: the stage, counted from 1, whose output the patch head gets; with fewer stages, the last
        """
        super().__init__()
        strides = levels.strides[1:]
        widths = [channels, *features[: len(strides)]]
        self.stages = nn.ModuleList()
        for number, stride in enumerate(strides):
            kernel: Any = tuple(4 if step == 2 else 3 for step in stride)
            normed = number > 0
            convolution = nn.Conv3d(
                widths[number], widths[number + 1], kernel, cast(Any, stride), padding=1, bias=not normed
            )  # fmt: skip
            norm = nn.InstanceNorm3d(widths[number + 1], affine=True) if normed else nn.Identity()
            self.stages.append(nn.Sequential(convolution, norm, nn.LeakyReLU(SLOPE)))
        self.tap = min(tap, len(strides))
        self.local, self.whole = nn.Conv3d(widths[self.tap], 1, 3, padding=1), nn.Linear(widths[-1], 1)

    def forward(self, x: Tensor, m: Tensor, visible: Tensor, features: Sequence[Tensor] = ()) -> Verdict:  # noqa: ARG002
        """Return the verdict.

        Args:
            x: (B, C, Z, Y, X) images in [-1, 1]
            m: (B, K, Z, Y, X) tumour maps, a channel per class
            visible: (B, 1, Z, Y, X) from 0 to 1
            features: not looked at
        """
        hidden = [torch.cat([x, m], dim=1)]
        for stage in self.stages:
            hidden.append(stage(hidden[-1]))
        patches, last = self.local(hidden[self.tap]), hidden[-1]
        whole = self.whole(visible_mean(last, pooled_to(visible, last).to(last.dtype)))
        return Verdict((patches.float(),), (pooled_to(visible, patches),), whole.float())


class FeatureHeads(nn.Module):
    """Small heads on the features of a frozen encoder, and a branch on the image for what that does not resolve.

    Each has a patch head; the global head gets means and standard deviations of all branches' features over what is
    visible: brightness, and texture. Encoders of segmentors tell tissues apart from the first step on, where a
    discriminator that begins with the image learns that first, from a dozen patients.
    """

    def __init__(self, channels: int, classes: int, encoder_widths: Sequence[int], width: int) -> None:
        """Build the network.

        Args:
            channels: number in the image
            classes: number in the map
            encoder_widths: features of each of the encoder's stages
            width: features of each branch
        """
        super().__init__()
        self.branches = nn.ModuleList([_Branch(channels + classes, width, 3)])
        self.branches.extend(_Branch(wide + classes, width, 1) for wide in encoder_widths)
        self.local = nn.ModuleList(nn.Conv3d(width, 1, 1) for _ in self.branches)
        self.whole = nn.Linear(2 * width * len(self.branches), 1)

    def forward(self, x: Tensor, m: Tensor, visible: Tensor, features: Sequence[Tensor]) -> Verdict:
        """Return the verdict.

        Args:
            x: (B, C, Z, Y, X) images in [-1, 1]
            m: (B, K, Z, Y, X) tumour maps, a channel per class
            visible: (B, 1, Z, Y, X) from 0 to 1
            features: (B, F, z, y, x) of each of the encoder's stages, each channel of mean 0 and sd 1 in real tumours
        """
        places, weights, described = [], [], []
        for seen, branch, local in zip((x, *features), self.branches, self.local, strict=True):
            hidden = branch(torch.cat([seen, pooled_to(m, seen).to(seen.dtype)], dim=1))
            weight = pooled_to(visible, hidden)
            places.append(local(hidden).float())
            weights.append(weight)
            hidden = hidden.float()
            mean = visible_mean(hidden, weight)
            squared = visible_mean((hidden - mean[..., None, None, None]) ** 2, weight)
            described += [mean, (squared + 1e-6).sqrt()]
        return Verdict(tuple(places), tuple(weights), self.whole(torch.cat(described, dim=1)).float())


class _Branch(nn.Module):
    """Two convolutions without norms, which would take away how bright a patch is."""

    def __init__(self, wide: int, width: int, kernel: int) -> None:
        super().__init__()
        self.project = nn.Conv3d(wide, width, kernel, padding=kernel // 2)
        self.look = nn.Conv3d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return leaky_relu(self.look(leaky_relu(self.project(x), SLOPE)), SLOPE)
