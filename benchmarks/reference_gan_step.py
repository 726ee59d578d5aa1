"""A step of TF-GAN as one writes it down: the reference that ours is measured against. Do not improve this file.

The same networks, losses and optimisers as the package's, and its functions of single volumes, in float32 (convolutions
in TF32 where torch has that as its default), one volume after the other, nothing compiled, batches copied to the device
when they are wanted, and losses read at every step.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from nnunetv2_tf.baseline.class_features import class_means
from nnunetv2_tf.baseline.encoder import Encoder, renormalised
from nnunetv2_tf.geometry.feather import feather
from nnunetv2_tf.methods.tf_gan import losses
from nnunetv2_tf.methods.tf_gan.config import TFGANConfig
from nnunetv2_tf.methods.tf_gan.networks import Design, Generator, blended, depth_weight_of, one_hot
from nnunetv2_tf.networks.discriminators import DualHead
from nnunetv2_tf.training.augmentation import RandomAffine

LINEAR = ("host", "coarse", "distance", "real_image", "real_distance")
NEAREST = ("tumour", "body", "organ", "real_tumour", "real_body", "real_organ")
DARK = -1.0


def gradient_penalty(logits: Sequence[Tensor], x_r: Tensor) -> Tensor:
    """R1: half the squared gradient of D's mean logits at real images."""
    score = torch.stack([logit.flatten(1).mean(dim=1).sum() for logit in logits]).sum()
    (slope,) = torch.autograd.grad(score, x_r, create_graph=True)
    return slope.square().sum(dim=(1, 2, 3, 4)) / 2


class PlainStep:
    """Both players and their optimisers."""

    def __init__(
        self, config: TFGANConfig, design: Design, encoder: Encoder, goal: list[Tensor], z_scored: list[bool],
        device: torch.device,
    ) -> None:  # fmt: skip
        self.config, self.design, self.z_scored, self.device = config, design, z_scored, device
        self.encoder, self.goal = encoder.to(device), goal
        torch.manual_seed(0)
        widths = config.discriminator_features or [2 * width for width in design.features]
        channels = len(design.channels) + len(design.classes)
        self.generator = Generator(design).to(device)
        self.judge = DualHead(channels, widths, design.levels, config.tap, config.spectral).to(device)
        self.average = {name: value.clone() for name, value in self.generator.weights().items()}
        self.of_g = torch.optim.Adam(self.generator.parameters(), lr=config.rate_g, betas=config.betas)
        self.of_d = torch.optim.Adam(self.judge.parameters(), lr=config.rate_d, betas=config.betas)

    def step(self, batch: Mapping[str, Tensor], number: int) -> dict[str, float]:
        """First D, then G; returns both losses as numbers."""
        config, domain, design = self.config, self.design.domain, self.design
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

        penalised = bool(config.r1) and number % config.r1_every == 0
        x_r.requires_grad_(penalised)
        self.judge.requires_grad_(True)
        real, fake = self.judge(torch.cat([x_r, m_r], 1)), self.judge(torch.cat([x_s.detach(), m_s], 1))
        loss_d = config.lambda_a * losses.adversarial_d(real[0], fake[0]).mean()
        loss_d = loss_d + config.lambda_b * losses.adversarial_d(real[1], fake[1]).mean()
        if penalised:
            loss_d = loss_d + config.r1 * config.r1_every * gradient_penalty(real, x_r).mean()
        self.of_d.zero_grad()
        loss_d.backward()
        self.of_d.step()

        self.judge.requires_grad_(False)
        patch, whole = self.judge(torch.cat([x_s, m_s], 1))
        f_s, there = class_means(self.encoder(seen), one["tumour"], design.classes)
        percept = losses.perceptual(f_s, self.goal, there).mean()
        after, before = domain.normalise(z_s, one["body"]), domain.normalise(z_s_, one["body"])
        margin = config.margin + config.margin_near * torch.exp(-one["distance"] / config.margin_mm)
        may = one["organ"] & one["body"] & (share * deep > 0)
        hinged = losses.hinge(after, before, one["tumour"] > 0, may, margin).mean()
        lambdas = (config.lambda_a, config.lambda_b, config.lambda_c[0], config.lambda_d)
        loss_g = losses.total(
            losses.adversarial_g(patch).mean(), losses.adversarial_g(whole).mean(), hinged, percept, lambdas
        )
        self.of_g.zero_grad()
        loss_g.backward()
        self.of_g.step()
        with torch.no_grad():
            for name, value in self.generator.weights().items():
                self.average[name].lerp_(value, 1 - config.average)
        return {"D": loss_d.item(), "G": loss_g.item()}

    def in_view(self, x: Tensor, distance: Tensor, organ: Tensor) -> Tensor:
        """What the discriminator sees."""
        deep = depth_weight_of(organ, self.design.rim_mm, self.design.spacing)
        return DARK + (feather(distance, self.config.view_mm) * deep)[:, None] * (x - DARK)

    def turned(self, one: dict[str, Tensor], number: int) -> dict[str, Tensor]:
        """Augmented, volume by volume."""
        rng, found = np.random.default_rng(number), dict(one)
        if not self.config.augmented:
            return found
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
