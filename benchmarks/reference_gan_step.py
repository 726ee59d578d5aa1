"""A step of TF-GAN as it was at 32f9ed2, plainly written: what ours is measured against. Do not improve this file.

A discriminator of the image with spectral norm and a penalty on its gradients, averages over all of a patch, features
compared image by image. In float32 (convolutions in TF32 where torch has that as its default), one volume after the
other, nothing compiled, batches copied to the device when they are wanted, and losses read at every step.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from torch.nn.utils.parametrizations import spectral_norm

from nnunetv2_tf.baseline.class_features import class_means
from nnunetv2_tf.baseline.encoder import Encoder, renormalised
from nnunetv2_tf.geometry.feather import feather
from nnunetv2_tf.methods.tf_gan.losses import hinge, perceptual
from nnunetv2_tf.methods.tf_gan.networks import Design, Generator, blended, depth_weight_of, one_hot
from nnunetv2_tf.networks.levels import Levels
from nnunetv2_tf.training.augmentation import RandomAffine

LINEAR = ("host", "coarse", "distance", "real_image", "real_distance")
NEAREST = ("tumour", "body", "organ", "real_tumour", "real_body", "real_organ")
DARK = -1.0
VIEW, MARGIN, MARGIN_NEAR, MARGIN_MM = 10.0, 0.02, 0.13, 6.0  # mm, [-1, 1], [-1, 1], mm
LAMBDA_A, LAMBDA_B, LAMBDA_C, LAMBDA_D = 10.0, 1.0, 10.0, 10.0
RATE_G, RATE_D, BETAS, AVERAGE = 2e-4, 4e-4, (0.5, 0.999), 0.999
R1, R1_EVERY, TAP = 1.0, 16, 4


class SpectralHeads(nn.Module):
    """Strided convolutions with spectral norm, a patch head after TAP of them, and a global head."""

    def __init__(self, channels: int, widths: Sequence[int], levels: Levels) -> None:
        super().__init__()
        strides = levels.strides[1:]
        wide = [channels, *widths[: len(strides)]]
        self.stages = nn.ModuleList()
        for number, stride in enumerate(strides):
            kernel: Any = tuple(4 if step == 2 else 3 for step in stride)
            convolution = nn.Conv3d(wide[number], wide[number + 1], kernel, cast(Any, stride), padding=1)
            self.stages.append(nn.Sequential(spectral_norm(convolution), nn.LeakyReLU(0.2)))
        self.tap = min(TAP, len(strides))
        self.local = spectral_norm(nn.Conv3d(wide[self.tap], 1, 3, padding=1))
        self.whole = spectral_norm(nn.Linear(wide[-1], 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits of patches, and of whole images."""
        patches = x
        for number, stage in enumerate(self.stages, start=1):
            x = stage(x)
            if number == self.tap:
                patches = self.local(x)
        return patches, self.whole(x.mean(dim=(2, 3, 4)))


def gradient_penalty(logits: Sequence[Tensor], x_r: Tensor) -> Tensor:
    """R1: half the squared gradient of D's mean logits at real images."""
    score = torch.stack([logit.flatten(1).mean(dim=1).sum() for logit in logits]).sum()
    (slope,) = torch.autograd.grad(score, x_r, create_graph=True)
    return slope.square().sum(dim=(1, 2, 3, 4)) / 2


class PlainStep:
    """Both players and their optimisers."""

    def __init__(
        self, design: Design, encoder: Encoder, goal: list[Tensor], z_scored: list[bool], device: torch.device
    ) -> None:
        self.design, self.z_scored, self.device = design, z_scored, device
        self.encoder, self.goal = encoder.to(device), goal
        torch.manual_seed(0)
        widths = [2 * width for width in design.features]
        channels = len(design.channels) + len(design.classes)
        self.generator = Generator(design).to(device)
        self.judge = SpectralHeads(channels, widths, design.levels).to(device)
        self.average = {name: value.clone() for name, value in self.generator.weights().items()}
        self.of_g = torch.optim.Adam(self.generator.parameters(), lr=RATE_G, betas=BETAS)
        self.of_d = torch.optim.Adam(self.judge.parameters(), lr=RATE_D, betas=BETAS)

    def step(self, batch: Mapping[str, Tensor], number: int) -> dict[str, float]:
        """First D, then G; returns both losses as numbers."""
        domain, design = self.design.domain, self.design
        one = self.turned({name: value.to(self.device) for name, value in batch.items()}, number)
        share = feather(one["distance"], design.reach_mm) * one["organ"]
        m_s, m_r = (one_hot(one[name], design.classes) for name in ("tumour", "real_tumour"))
        added = self.generator(domain.normalise(one["coarse"], one["body"]), m_s)
        z_s_ = one["coarse"]
        deep = depth_weight_of(one["organ"], design.rim_mm, design.spacing)
        z_s = blended(z_s_, z_s_ + domain.denormalise_difference(added) * deep[:, None], share)
        seen = renormalised(z_s, one["host"], one["n_norm"], one["body"], self.z_scored, one["beyond"])
        x_s = self.in_view(domain.normalise(seen, one["body"]), one["distance"], one["organ"])
        x_r = self.in_view(
            domain.normalise(one["real_image"], one["real_body"]), one["real_distance"], one["real_organ"]
        )

        penalised = number % R1_EVERY == 0
        x_r.requires_grad_(penalised)
        self.judge.requires_grad_(True)
        real, fake = self.judge(torch.cat([x_r, m_r], 1)), self.judge(torch.cat([x_s.detach(), m_s], 1))
        loss_d = torch.zeros((), device=self.device)
        for weight, of_real, of_fake in zip((LAMBDA_A, LAMBDA_B), real, fake, strict=True):
            right, wrong = torch.ones_like(of_real), torch.zeros_like(of_fake)
            loss_d = loss_d + weight * (cross_entropy(of_real, right) + cross_entropy(of_fake, wrong)) / 2
        if penalised:
            loss_d = loss_d + R1 * R1_EVERY * gradient_penalty(real, x_r).mean()
        self.of_d.zero_grad()
        loss_d.backward()
        self.of_d.step()

        self.judge.requires_grad_(False)
        patch, whole = self.judge(torch.cat([x_s, m_s], 1))
        f_s, there = class_means(self.encoder(seen), one["tumour"], design.classes)
        percept = perceptual(f_s, self.goal, there).mean()
        after, before = domain.normalise(z_s, one["body"]), domain.normalise(z_s_, one["body"])
        margin = MARGIN + MARGIN_NEAR * torch.exp(-one["distance"] / MARGIN_MM)
        may = one["organ"] & one["body"] & (share * deep > 0)
        hinged = hinge(after, before, one["tumour"] > 0, may, margin).mean()
        fooled = [cross_entropy(head, torch.ones_like(head)) for head in (patch, whole)]
        loss_g = LAMBDA_A * fooled[0] + LAMBDA_B * fooled[1] + LAMBDA_C * hinged + LAMBDA_D * percept
        self.of_g.zero_grad()
        loss_g.backward()
        self.of_g.step()
        with torch.no_grad():
            for name, value in self.generator.weights().items():
                self.average[name].lerp_(value, 1 - AVERAGE)
        return {"D": loss_d.item(), "G": loss_g.item()}

    def in_view(self, x: Tensor, distance: Tensor, organ: Tensor) -> Tensor:
        """What the discriminator sees."""
        deep = depth_weight_of(organ, self.design.rim_mm, self.design.spacing)
        return DARK + (feather(distance, VIEW) * deep)[:, None] * (x - DARK)

    def turned(self, one: dict[str, Tensor], number: int) -> dict[str, Tensor]:
        """Augmented, volume by volume."""
        rng, found = np.random.default_rng(number), dict(one)
        several = [RandomAffine.sample(rng, self.design.spacing) for _ in range(2 * len(one["host"]))]
        for name in (*LINEAR, *NEAREST):
            turns = several[::2] if name.startswith("real_") else several[1::2]
            volumes = one[name] if one[name].ndim == 5 else one[name][:, None]
            moved = [
                turn.apply(volume.float(), self.design.spacing, nearest=name in NEAREST).to(volume.dtype)
                for turn, volume in zip(turns, volumes, strict=True)
            ]
            found[name] = torch.stack(moved).reshape(one[name].shape)
        return found
