"""One step of G against D. In: a batch of coarse and of real patches. Out: both networks a step further."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nnunetv2_tf.baseline.encoder import Encoder, renormalised
from nnunetv2_tf.baseline.features import Features, prototype
from nnunetv2_tf.baseline.pooling import class_means
from nnunetv2_tf.methods.tf_gan import losses
from nnunetv2_tf.methods.tf_gan.config import TFGANConfig
from nnunetv2_tf.methods.tf_gan.domain import DARKEST
from nnunetv2_tf.methods.tf_gan.networks import Design, Generator, composed, one_hot, share_of
from nnunetv2_tf.networks.discriminators import DualHead
from nnunetv2_tf.training.ddp import Team
from nnunetv2_tf.training.speed import Speed, onto
from nnunetv2_tf.training.turning import Turn

AUGMENT, OF_GOAL, OF_FAKE, OF_REAL = 4, 5, 6, 7  # streams of random numbers, beside those that patches are drawn by
AWAY = 1000.0  # mm from the tumour: what comes in from beyond a turned patch
FAKE = ("host", "coarse", "tumour", "body", "organ", "distance", "n_norm", "beyond")  # names in a batch
REAL = ("real_image", "real_tumour", "real_body", "real_organ", "real_distance")


@dataclass(frozen=True)
class Fake:
    """Coarse patches, in z."""

    host: Tensor  # (B, C, Z, Y, X)
    coarse: Tensor  # (B, C, Z, Y, X)
    tumour: Tensor  # (B, Z, Y, X)
    body: Tensor  # (B, Z, Y, X) bool
    organ: Tensor  # (B, Z, Y, X) bool
    distance: Tensor  # (B, Z, Y, X) mm to the tumour
    n_norm: Tensor  # (B,)
    beyond: Tensor  # (B, 2, C) by what the rest of the case is normalised anew


@dataclass(frozen=True)
class Real:
    """Real patches, in z."""

    image: Tensor
    tumour: Tensor
    body: Tensor
    organ: Tensor
    distance: Tensor


class Game:
    """Both players, and F, which is frozen."""

    def __init__(
        self, config: TFGANConfig, design: Design, encoder: Encoder, z_scored: Sequence[bool],
        seed: int, device: torch.device,
        team: Team | None = None, speed: Speed | None = None,
    ) -> None:  # fmt: skip
        self.config, self.design, self.seed, self.device = config, design, seed, device
        self.team, self.speed = team or Team(), speed or Speed.of(device)
        self.goal: Features | None = None  # what features are compared with; None: those of the batch's real patches
        self.encoder, self.z_scored = encoder.to(device), torch.tensor(z_scored, device=device)
        widths = config.discriminator_features or [2 * width for width in design.features]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.generator = self.speed.laid_out(Generator(design).to(device))
            channels = len(design.channels) + len(design.classes)
            judge = DualHead(channels, widths, design.levels, config.tap, config.spectral)
            self.discriminator = self.speed.laid_out(judge.to(device))
        ready = [self.speed.ready(one) for one in (self.generator, self.discriminator, self.encoder)]
        self.generate, self.judge, self.encode = ready
        self.averaged = {name: value.clone() for name, value in self.generator.weights().items()}
        settings = {"betas": config.betas, "fused": device.type == "cuda"}
        self.optimizer_g = torch.optim.Adam(self.generator.parameters(), lr=config.rate_g, **settings)
        self.optimizer_d = torch.optim.Adam(self.discriminator.parameters(), lr=config.rate_d, **settings)
        self.steps = 0

    def learn_goal(self, patches: Iterable[Mapping[str, Tensor]]) -> None:
        """Takes the mean features of real patches, each turned as in training, for the goal."""
        found = []
        for index, patch in enumerate(patches):
            turn = self._turn(np.random.default_rng([self.seed, OF_GOAL, index]))
            real = self._turned_real(Real(*(patch[name][None].to(self.device) for name in REAL)), [turn])
            with torch.no_grad():
                found.append(self._features(real.image, real.tumour))
        self.goal = prototype(Features.joined(found))

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
        with self.speed.convolutions():
            return self._step(batch, [self.seed, AUGMENT, epoch, step])

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

    def _step(self, batch: Mapping[str, Tensor], seed: Sequence[int]) -> Mapping[str, Tensor]:
        fake, real = self._prepared(batch, seed)
        domain, share = self.design.domain, share_of(fake.distance, self.design.reach_mm) * fake.organ
        m_s, m_r = (one_hot(tumour, self.design.classes) for tumour in (fake.tumour, real.tumour))
        with self.speed.precision(self.device):
            added = self.generate(domain.into(fake.coarse, fake.body), m_s)
        deep = self.generator.depth(fake.organ)
        finer = self.generator.refined(fake.coarse, added, deep)
        z_s_, z_s = (composed(fake.host, image, share) for image in (fake.coarse, finer))
        seen = renormalised(z_s, fake.host, fake.n_norm, fake.body, self.z_scored, fake.beyond)
        contrast, brightness = (np.random.default_rng(seed).normal(size=2) * self.config.shake).tolist()
        x_s, x_r = (
            self._in_view(domain.into(image, side.body) * (1 + contrast) + brightness, side.distance, depth)
            for image, side, depth in ((seen, fake, deep), (real.image, real, self.generator.depth(real.organ)))
        )
        found = self._step_of_d(x_s.detach(), m_s, x_r, m_r)
        after, before = (domain.into(image, fake.body) for image in (z_s, z_s_))
        may_change = fake.organ & fake.body & (share * deep > 0)  # elsewhere nothing can differ
        hinged = losses.hinge(after, before, fake.tumour > 0, may_change, self._margin(fake.distance)).mean()
        found |= self._step_of_g(x_s, m_s, hinged, self._perceptual(seen, fake, real))
        self._average()
        self.steps += 1
        tumour = ((fake.tumour > 0) & may_change)[:, None].to(z_s.dtype)
        moved = ((after - before).abs() * tumour).sum() / (tumour.sum() * z_s.shape[1]).clamp_min(1)
        return {**found, "change in the tumour": moved}

    def _prepared(self, batch: Mapping[str, Tensor], seed: Sequence[int]) -> tuple[Fake, Real]:
        """On the device, and augmented: each patch by a draw of its own, wherever it is worked on."""
        moved = {name: onto(value, self.device) for name, value in batch.items() if name != "place"}
        fake, real = Fake(*(moved[name] for name in FAKE)), Real(*(moved[name] for name in REAL))
        of_fake, of_real = (
            [self._turn(np.random.default_rng([*seed, stream, place])) for place in batch["place"].tolist()]
            for stream in (OF_FAKE, OF_REAL)
        )
        return self._turned_fake(fake, of_fake), self._turned_real(real, of_real)

    def _turned_fake(self, fake: Fake, turns: Sequence[Turn]) -> Fake:
        host, coarse, nearness = self._turned((fake.host, fake.coarse, AWAY - fake.distance), turns)
        tumour, body, organ = self._turned((fake.tumour, fake.body, fake.organ), turns, nearest=True)
        return replace(
            fake, host=host, coarse=coarse, distance=AWAY - nearness, tumour=tumour, body=body, organ=organ
        )  # fmt: skip

    def _turned_real(self, real: Real, turns: Sequence[Turn]) -> Real:
        image, nearness = self._turned((real.image, AWAY - real.distance), turns)
        tumour, body, organ = self._turned((real.tumour, real.body, real.organ), turns, nearest=True)
        return Real(image, tumour, body, organ, AWAY - nearness)

    def _turn(self, rng: np.random.Generator) -> Turn:
        return Turn.drawn(rng, self.design.spacing) if self.config.augmented else Turn((), None)

    def _turned(self, volumes: Sequence[Tensor], turns: Sequence[Turn], nearest: bool = False) -> list[Tensor]:
        """Volumes (B, C, Z, Y, X) or (B, Z, Y, X) in one go; turns by patch."""
        whole = torch.cat([one if one.ndim == 5 else one[:, None].float() for one in volumes], dim=1)
        pairs = zip(whole, turns, strict=True)
        moved = torch.stack([turn.of(one, self.design.spacing, nearest) for one, turn in pairs])
        parts = moved.split([one.shape[1] if one.ndim == 5 else 1 for one in volumes], dim=1)
        return [part.reshape(one.shape).to(one.dtype) for part, one in zip(parts, volumes, strict=True)]

    def _in_view(self, x: Tensor, distance: Tensor, deep: Tensor) -> Tensor:
        """What D sees of an image: dark far from the tumour, and at the organ's surface.

        There cohorts differ, by scanners and by how brains were cut out, and G would paint inside tumours what D
        misses beside them.
        """
        sight = (share_of(distance, self.config.view_mm) * deep)[:, None]
        return DARKEST + sight * (x - DARKEST)

    def _step_of_d(self, x_s: Tensor, m_s: Tensor, x_r: Tensor, m_r: Tensor) -> dict[str, Tensor]:
        """Eq. 4 upwards, weighed as in Eq. 5."""
        config = self.config
        self.discriminator.requires_grad_(True)
        penalised = bool(config.r1) and self.steps % config.r1_every == 0
        judge = self.discriminator if penalised else self.judge  # compiled passes know no forward mode
        penalty = torch.zeros((), device=self.device)
        with self.speed.precision(self.device, exact=penalised):
            if penalised:
                real, several = losses.penalised(lambda x: judge(torch.cat([x, m_r], dim=1)), x_r)
                penalty = config.r1 * config.r1_every * several.mean()
            else:
                real = _exact(judge(torch.cat([x_r, m_r], dim=1)))
            fake = _exact(judge(torch.cat([x_s, m_s], dim=1)))
        patch, whole = (losses.adversarial_d(*heads).mean() for heads in zip(real, fake, strict=True))
        loss = config.lambda_a * patch + config.lambda_b * whole + penalty
        self.optimizer_d.zero_grad()
        loss.backward()
        self.team.average_gradients(self.discriminator.parameters())
        self.optimizer_d.step()
        right = [
            ((one > 0).float().mean() + (other < 0).float().mean()) / 2 for one, other in zip(real, fake, strict=True)
        ]
        return {"D patch": patch, "D whole": whole, "D right, patch": right[0], "D right, whole": right[1]}

    def _step_of_g(self, x_s: Tensor, m_s: Tensor, hinged: Tensor, percept: Tensor) -> dict[str, Tensor]:
        """Eq. 5."""
        config = self.config
        self.discriminator.requires_grad_(False)
        with self.speed.precision(self.device):
            judged = _exact(self.judge(torch.cat([x_s, m_s], dim=1)))
        patch, whole = (losses.adversarial_g(head).mean() for head in judged)
        lambdas = (config.lambda_a, config.lambda_b, self.lambda_c, config.lambda_d)
        loss = losses.total(patch, whole, hinged, percept, lambdas)
        self.optimizer_g.zero_grad()
        loss.backward()
        self.team.average_gradients(self.generator.parameters())
        self.optimizer_g.step()
        return {"G": loss, "G patch": patch, "G whole": whole, "hinge": hinged, "perceptual": percept}

    def _margin(self, distance: Tensor) -> Tensor | float:
        config = self.config
        if not config.margin_near:
            return config.margin
        return config.margin + config.margin_near * torch.exp(-distance / config.margin_mm)

    def _perceptual(self, seen: Tensor, fake: Fake, real: Real) -> Tensor:
        """Eq. 3, of images as the encoder was trained to see them."""
        own, goal = self._features(seen, fake.tumour), self.goal
        if goal is None:
            with torch.no_grad():
                goal = self._features(real.image, real.tumour)
        return losses.perceptual(own.means, goal.means, own.present & goal.present).mean()

    def _features(self, image: Tensor, tumour: Tensor) -> Features:
        with self.speed.precision(self.device):
            stages = self.encode(image)
        return Features(*class_means(_exact(stages), tumour, self.design.classes))

    @torch.no_grad()
    def _average(self) -> None:
        """An exponential mean over steps that forgets its beginning."""
        if not self.config.average:
            return
        kept = min(self.config.average, (1 + self.steps) / (10 + self.steps))
        for name, value in self.generator.weights().items():
            self.averaged[name].lerp_(value, 1 - kept)


def _exact(several: Iterable[Tensor]) -> list[Tensor]:
    """In float32, for losses."""
    return [one.float() for one in several]
