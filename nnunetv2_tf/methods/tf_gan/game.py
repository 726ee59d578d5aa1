"""One step of G against D. In: a batch of coarse and of real patches. Out: both networks a step further."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nnunetv2_tf.baseline.encoder import Encoder, renormalised
from nnunetv2_tf.baseline.features import Features
from nnunetv2_tf.baseline.pooling import class_means
from nnunetv2_tf.methods.tf_gan import losses
from nnunetv2_tf.methods.tf_gan.config import TFGANConfig
from nnunetv2_tf.methods.tf_gan.networks import Design, Generator, one_hot, refined, share_of
from nnunetv2_tf.networks.discriminators import DualHead
from nnunetv2_tf.training.turning import Turn

AUGMENT = 2  # stream of random numbers, beside those of patches


@dataclass(frozen=True)
class Fake:
    """Coarse patches, in z."""

    host: Tensor  # (B, C, Z, Y, X)
    coarse: Tensor  # (B, C, Z, Y, X)
    tumour: Tensor  # (B, Z, Y, X)
    body: Tensor  # (B, Z, Y, X) bool
    distance: Tensor  # (B, Z, Y, X) mm to the tumour
    n_norm: Tensor  # (B,)


@dataclass(frozen=True)
class Real:
    """Real patches, in z."""

    image: Tensor
    tumour: Tensor
    body: Tensor


class Game:
    """Both players, and F, which is frozen."""

    def __init__(
        self, config: TFGANConfig, design: Design, encoder: Encoder, goal: Features | None, spacing: tuple[float, ...],
        z_scored: Sequence[bool], seed: int, device: torch.device,
    ) -> None:  # fmt: skip
        self.config, self.design, self.goal, self.seed, self.device = config, design, goal, seed, device
        self.encoder, self.z_scored = encoder.to(device), z_scored
        z, y, x = spacing
        self.spacing = (z, y, x)
        widths = config.discriminator_features or [2 * width for width in design.features]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.generator = Generator(design).to(device)
            self.discriminator = DualHead(
                len(design.channels) + len(design.classes), widths, design.levels, config.tap, config.spectral
            ).to(device)
        self.averaged = {name: value.clone() for name, value in self.generator.weights().items()}
        settings = {"betas": config.betas, "fused": device.type == "cuda"}
        self.optimizer_g = torch.optim.Adam(self.generator.parameters(), lr=config.rate_g, **settings)
        self.optimizer_d = torch.optim.Adam(self.discriminator.parameters(), lr=config.rate_d, **settings)
        self.steps = 0

    def begin(self, epoch: int) -> Mapping[str, float]:
        """Rates fall evenly to 0; lambda_c goes from its first to its last value."""
        share = epoch / self.config.epochs
        rates = {"G": self.config.rate_g * (1 - share), "D": self.config.rate_d * (1 - share)}
        for optimizer, rate in zip((self.optimizer_g, self.optimizer_d), rates.values(), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate
        first, last = self.config.lambda_c
        self.lambda_c = first + (last - first) * epoch / max(self.config.epochs - 1, 1)
        return {"rate of G": rates["G"], "rate of D": rates["D"], "lambda_c": self.lambda_c}

    def step(self, batch: Mapping[str, Tensor], epoch: int, step: int) -> Mapping[str, Tensor]:
        """First D, then G."""
        rng = np.random.default_rng([self.seed, AUGMENT, epoch, step])
        fake, real = self._prepared(batch, rng)
        x_h, x_s_ = (self.design.domain.into(z, fake.body) for z in (fake.host, fake.coarse))
        m_s, m_r = (one_hot(tumour, self.design.classes) for tumour in (fake.tumour, real.tumour))
        added = self.generator(x_s_, m_s)
        x_s = refined(x_h, x_s_, added, share_of(fake.distance, self.design.reach_mm), fake.body)
        x_r = self.design.domain.into(real.image, real.body)
        contrast, brightness = rng.normal(size=2) * self.config.shake
        judged, seen = (x * (1 + contrast) + brightness for x in (x_s, x_r))
        found = self._step_of_d(judged.detach(), m_s, seen, m_r)
        found |= self._step_of_g(fake, real, x_h, x_s, x_s_, judged, m_s)
        self._average()
        self.steps += 1
        tumour = (fake.tumour > 0)[:, None].to(x_s.dtype)
        moved = ((x_s - x_s_).abs() * tumour).sum() / (tumour.sum() * x_s.shape[1]).clamp_min(1)
        return {**found, "change in the tumour": moved}

    def state(self) -> dict[str, Any]:
        """Weights, their average, optimisers."""
        return {
            "generator": self.generator.weights(),
            "averaged": self.averaged,
            "discriminator": self.discriminator.state_dict(),
            "optimizer_g": self.optimizer_g.state_dict(),
            "optimizer_d": self.optimizer_d.state_dict(),
            "steps": self.steps,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes them up."""
        self.generator.take(state["generator"])
        for name in ("discriminator", "optimizer_g", "optimizer_d"):
            getattr(self, name).load_state_dict(state[name])
        self.averaged = {name: value.to(self.device) for name, value in state["averaged"].items()}
        self.steps = state["steps"]

    def weights(self) -> Mapping[str, Tensor]:
        """Of the generator to be used."""
        return self.averaged if self.config.average else self.generator.weights()

    def _prepared(self, batch: Mapping[str, Tensor], rng: np.random.Generator) -> tuple[Fake, Real]:
        """On the device, and augmented: each patch by a draw of its own."""
        moved = {name: value.to(self.device, non_blocking=True) for name, value in batch.items()}
        fake = Fake(*(moved[name] for name in ("host", "coarse", "tumour", "body", "distance", "n_norm")))
        real = Real(*(moved[name] for name in ("real_image", "real_tumour", "real_body")))
        if not self.config.augmented:
            return fake, real
        turns = [[Turn.drawn(rng) for _ in range(len(fake.host))] for _ in range(2)]

        def turned(volumes: Tensor, several: Sequence[Turn], nearest: bool = False) -> Tensor:
            return torch.stack(
                [turn.of(volume, self.spacing, nearest) for volume, turn in zip(volumes, several, strict=True)]
            )

        def mapped(volumes: Tensor, several: Sequence[Turn]) -> Tensor:
            return turned(volumes[:, None].float(), several, nearest=True)[:, 0].to(volumes.dtype)

        first, second = turns
        fake = replace(
            fake, host=turned(fake.host, first), coarse=turned(fake.coarse, first),
            tumour=mapped(fake.tumour, first), body=mapped(fake.body, first),
            distance=turned(fake.distance[:, None], first)[:, 0],
        )  # fmt: skip
        return fake, Real(
            turned(real.image, second), mapped(real.tumour, second), mapped(real.body, second)
        )  # fmt: skip

    def _step_of_d(self, x_s: Tensor, m_s: Tensor, x_r: Tensor, m_r: Tensor) -> dict[str, Tensor]:
        """Eq. 4 upwards, weighed as in Eq. 5."""
        config = self.config
        self.discriminator.requires_grad_(True)
        penalised = bool(config.r1) and self.steps % config.r1_every == 0
        x_r = x_r.detach().requires_grad_(penalised)
        real, fake = (self.discriminator(torch.cat(both, dim=1)) for both in ((x_r, m_r), (x_s, m_s)))
        patch, whole = (losses.adversarial_d(*heads).mean() for heads in zip(real, fake, strict=True))
        loss = config.lambda_a * patch + config.lambda_b * whole
        if penalised:
            loss = loss + config.r1 * config.r1_every * losses.gradient_penalty(real, x_r).mean()
        self.optimizer_d.zero_grad()
        loss.backward()
        self.optimizer_d.step()
        right = [
            ((one > 0).float().mean() + (other < 0).float().mean()) / 2 for one, other in zip(real, fake, strict=True)
        ]
        return {"D patch": patch, "D whole": whole, "D right, patch": right[0], "D right, whole": right[1]}

    def _step_of_g(
        self, fake: Fake, real: Real, x_h: Tensor, x_s: Tensor, x_s_: Tensor, judged: Tensor, m_s: Tensor
    ) -> dict[str, Tensor]:
        """Eq. 5."""
        config = self.config
        self.discriminator.requires_grad_(False)
        patch, whole = (
            losses.adversarial_g(head).mean() for head in self.discriminator(torch.cat([judged, m_s], dim=1))
        )
        within = fake.body & (share_of(fake.distance, self.design.reach_mm) > 0)  # elsewhere nothing can differ
        hinged = losses.hinge(x_s, x_s_, fake.tumour > 0, within, self._margin(fake.distance)).mean()
        percept = self._perceptual(fake, real, x_s - x_h)
        lambdas = (config.lambda_a, config.lambda_b, self.lambda_c, config.lambda_d)
        loss = losses.total(patch, whole, hinged, percept, lambdas)
        self.optimizer_g.zero_grad()
        loss.backward()
        self.optimizer_g.step()
        return {"G": loss, "G patch": patch, "G whole": whole, "hinge": hinged, "perceptual": percept}

    def _margin(self, distance: Tensor) -> Tensor | float:
        config = self.config
        if not config.margin_near:
            return config.margin
        return config.margin + config.margin_near * torch.exp(-distance / config.margin_mm)

    def _perceptual(self, fake: Fake, real: Real, change: Tensor) -> Tensor:
        """Eq. 3, of images as the encoder was trained to see them."""
        z_s = fake.host + torch.where(fake.body[:, None], self.design.domain.change(change), 0)
        seen = renormalised(z_s, fake.host, fake.n_norm.tolist(), fake.body, self.z_scored)
        f_s, there = class_means(self.encoder(seen), fake.tumour, self.design.classes)
        if self.goal is not None:
            return losses.perceptual(f_s, self.goal.means, there & self.goal.present).mean()
        with torch.no_grad():
            f_r, known = class_means(self.encoder(real.image), real.tumour, self.design.classes)
        return losses.perceptual(f_s, f_r, there & known).mean()

    @torch.no_grad()
    def _average(self) -> None:
        """An exponential mean over steps that forgets its beginning."""
        if not self.config.average:
            return
        kept = min(self.config.average, (1 + self.steps) / (10 + self.steps))
        for name, value in self.generator.weights().items():
            self.averaged[name].lerp_(value, 1 - kept)
