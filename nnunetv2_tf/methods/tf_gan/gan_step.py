"""One training step of generator G and discriminator D. In: a batch of fake and real patches. Out: both, updated."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nnunetv2_tf.baseline.class_features import Features, class_means, mean_features
from nnunetv2_tf.baseline.encoder import Encoder, renormalised
from nnunetv2_tf.geometry.feather import feather
from nnunetv2_tf.methods.tf_gan import losses
from nnunetv2_tf.methods.tf_gan.config import TFGANConfig
from nnunetv2_tf.methods.tf_gan.networks import Design, Generator, blended, one_hot
from nnunetv2_tf.networks.discriminators import DualHead
from nnunetv2_tf.training.augmentation import RandomAffine
from nnunetv2_tf.training.distributed import Team
from nnunetv2_tf.training.intensity_range import DARKEST
from nnunetv2_tf.training.precision import Acceleration, to_device

AUGMENT, OF_GOAL, OF_FAKE, OF_REAL = 4, 5, 6, 7  # streams of random numbers; patches have 0 to 3
AWAY = 1000.0  # mm from the tumour, for what a rotation brings in from beyond the patch
FAKE = ("host", "coarse", "tumour", "body", "organ", "distance", "n_norm", "beyond")  # names of arrays in a batch
REAL = ("real_image", "real_tumour", "real_body", "real_organ", "real_distance")


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


@dataclass(frozen=True)
class Real:
    """Real patches; intensities are z, as nnU-Net normalises."""

    image: Tensor  # (B, C, Z, Y, X)
    tumour: Tensor  # (B, Z, Y, X)
    body: Tensor  # (B, Z, Y, X) bool
    organ: Tensor  # (B, Z, Y, X) bool
    distance: Tensor  # (B, Z, Y, X) mm to the tumour


class GANTrainer:
    """Generator G and discriminator D with their optimisers, and the frozen encoder F of the perceptual loss."""

    def __init__(
        self, config: TFGANConfig, design: Design, encoder: Encoder, z_scored: Sequence[bool],
        seed: int, device: torch.device,
        team: Team | None = None, acceleration: Acceleration | None = None,
    ) -> None:  # fmt: skip
        self.config, self.design, self.seed, self.device = config, design, seed, device
        self.team, self.acceleration = team or Team(), acceleration or Acceleration.of(device)
        self.goal: Features | None = None  # the perceptual loss compares to it; None: to the batch's real patches
        self.encoder, self.z_scored = encoder.to(device), torch.tensor(z_scored, device=device)
        widths = config.discriminator_features or [2 * width for width in design.features]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.generator = self.acceleration.with_memory_format(Generator(design).to(device))
            channels = len(design.channels) + len(design.classes)
            discriminator = DualHead(channels, widths, design.levels, config.tap, config.spectral)
            self.discriminator = self.acceleration.with_memory_format(discriminator.to(device))
        networks = (self.generator, self.discriminator, self.encoder)
        compiled = [self.acceleration.compiled_for_training(network) for network in networks]
        self.generate, self.discriminate, self.encode = compiled
        self.averaged = {name: value.clone() for name, value in self.generator.weights().items()}
        settings = {"betas": config.betas, "fused": device.type == "cuda"}
        self.optimizer_g = torch.optim.Adam(self.generator.parameters(), lr=config.rate_g, **settings)
        self.optimizer_d = torch.optim.Adam(self.discriminator.parameters(), lr=config.rate_d, **settings)
        self.steps = 0

    def learn_goal(self, patches: Iterable[Mapping[str, Tensor]]) -> None:
        """Make the mean features of real patches, augmented as in training, the goal of the perceptual loss."""
        features = []
        for index, patch in enumerate(patches):
            affine = self._random_affine(np.random.default_rng([self.seed, OF_GOAL, index]))
            real = self._augmented_real(Real(*(patch[name][None].to(self.device) for name in REAL)), [affine])
            with torch.no_grad():
                features.append(self._features(real.image, real.tumour))
        self.goal = mean_features(Features.joined(features))

    def begin(self, epoch: int) -> Mapping[str, float]:
        """Set the learning rates, which fall evenly to 0, and lambda_c, which goes from its first to its last value."""
        share = epoch / self.config.epochs
        rates = {"G": self.config.rate_g * (1 - share), "D": self.config.rate_d * (1 - share)}
        for optimizer, rate in zip((self.optimizer_g, self.optimizer_d), rates.values(), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate
        first, last = self.config.lambda_c
        self.lambda_c = first + (last - first) * epoch / max(self.config.epochs - 1, 1)
        return {"rate of G": rates["G"], "rate of D": rates["D"], "lambda_c": self.lambda_c}

    def step(self, batch: Mapping[str, Tensor], epoch: int, step: int) -> Mapping[str, Tensor]:
        """Do a step of D and then one of G; return the curves."""
        with self.acceleration.cudnn_benchmark():
            return self._step(batch, [self.seed, AUGMENT, epoch, step])

    def state(self) -> dict[str, Any]:
        """Return the weights, their moving average, and the states of the optimisers."""
        return {
            "generator": self.generator.weights(),
            "averaged": self.averaged,
            "discriminator": self.discriminator.state_dict(),
            "optimizer_g": self.optimizer_g.state_dict(),
            "optimizer_d": self.optimizer_d.state_dict(),
            "steps": self.steps,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Load what `state()` saved."""
        self.generator.load_weights(state["generator"])
        for name in ("discriminator", "optimizer_g", "optimizer_d"):
            getattr(self, name).load_state_dict(state[name])
        self.averaged = {name: value.to(self.device) for name, value in state["averaged"].items()}
        self.steps = state["steps"]

    def weights(self) -> Mapping[str, Tensor]:
        """Return the generator's weights that are to be used: averaged, if the settings say so."""
        return self.averaged if self.config.average else self.generator.weights()

    def _step(self, batch: Mapping[str, Tensor], seed: Sequence[int]) -> Mapping[str, Tensor]:
        fake, real = self._prepared(batch, seed)
        domain, share = self.design.domain, feather(fake.distance, self.design.reach_mm) * fake.organ
        m_s, m_r = (one_hot(tumour, self.design.classes) for tumour in (fake.tumour, real.tumour))
        with self.acceleration.autocast(self.device):
            added = self.generate(domain.normalise(fake.coarse, fake.body), m_s)
        fake_depth, real_depth = (self.generator.depth_weight(side.organ) for side in (fake, real))
        refined = self.generator.refined(fake.coarse, added, fake_depth)
        z_s_, z_s = fake.coarse, blended(fake.coarse, refined, share)
        seen = renormalised(z_s, fake.host, fake.n_norm, fake.body, self.z_scored, fake.beyond)
        contrast, brightness = (np.random.default_rng(seed).normal(size=2) * self.config.shake).tolist()
        x_s, x_r = (
            self._in_view(domain.normalise(image, side.body) * (1 + contrast) + brightness, side.distance, depth)
            for image, side, depth in ((seen, fake, fake_depth), (real.image, real, real_depth))
        )
        curves = self._step_of_d(x_s.detach(), m_s, x_r, m_r)
        after, before = (domain.normalise(image, fake.body) for image in (z_s, z_s_))
        may_change = fake.organ & fake.body & (share * fake_depth > 0)  # elsewhere the output has no weight
        hinged = losses.hinge(after, before, fake.tumour > 0, may_change, self._margin(fake.distance)).mean()
        curves |= self._step_of_g(x_s, m_s, hinged, self._perceptual(seen, fake, real))
        self._average()
        self.steps += 1
        tumour = ((fake.tumour > 0) & may_change)[:, None].to(z_s.dtype)
        change = ((after - before).abs() * tumour).sum() / (tumour.sum() * z_s.shape[1]).clamp_min(1)
        return {**curves, "change in the tumour": change}

    def _prepared(self, batch: Mapping[str, Tensor], seed: Sequence[int]) -> tuple[Fake, Real]:
        """Return the batch on the device, augmented; a patch's draw is the same whichever process has the patch."""
        tensors = {name: to_device(value, self.device) for name, value in batch.items() if name != "place"}
        fake, real = Fake(*(tensors[name] for name in FAKE)), Real(*(tensors[name] for name in REAL))
        of_fake, of_real = (
            [self._random_affine(np.random.default_rng([*seed, stream, place])) for place in batch["place"].tolist()]
            for stream in (OF_FAKE, OF_REAL)
        )
        return self._augmented_fake(fake, of_fake), self._augmented_real(real, of_real)

    def _augmented_fake(self, fake: Fake, affines: Sequence[RandomAffine]) -> Fake:
        host, coarse, nearness = self._augmented((fake.host, fake.coarse, AWAY - fake.distance), affines)
        tumour, body, organ = self._augmented((fake.tumour, fake.body, fake.organ), affines, nearest=True)
        return replace(
            fake, host=host, coarse=coarse, distance=AWAY - nearness, tumour=tumour, body=body, organ=organ
        )  # fmt: skip

    def _augmented_real(self, real: Real, affines: Sequence[RandomAffine]) -> Real:
        image, nearness = self._augmented((real.image, AWAY - real.distance), affines)
        tumour, body, organ = self._augmented((real.tumour, real.body, real.organ), affines, nearest=True)
        return Real(image, tumour, body, organ, AWAY - nearness)

    def _random_affine(self, rng: np.random.Generator) -> RandomAffine:
        return RandomAffine.sample(rng, self.design.spacing) if self.config.augmented else RandomAffine((), None)

    def _augmented(
        self, volumes: Sequence[Tensor], affines: Sequence[RandomAffine], nearest: bool = False
    ) -> list[Tensor]:
        """Return volumes (B, C, Z, Y, X) or (B, Z, Y, X), augmented together, each patch by its affine."""
        joined = torch.cat([volume if volume.ndim == 5 else volume[:, None].float() for volume in volumes], dim=1)
        pairs = zip(joined, affines, strict=True)
        augmented = torch.stack([affine.apply(patch, self.design.spacing, nearest) for patch, affine in pairs])
        parts = augmented.split([volume.shape[1] if volume.ndim == 5 else 1 for volume in volumes], dim=1)
        return [part.reshape(volume.shape).to(volume.dtype) for part, volume in zip(parts, volumes, strict=True)]

    def _in_view(self, x: Tensor, distance: Tensor, depth: Tensor) -> Tensor:
        """Return what D sees of an image, which becomes dark far from the tumour and in the organ's rim.

        There real and healthy cohorts differ by their scanners and by how brains were extracted. If D saw that, G would
        paint inside tumours what D misses around them.
        """
        visible = (feather(distance, self.config.view_mm) * depth)[:, None]
        return DARKEST + visible * (x - DARKEST)

    def _step_of_d(self, x_s: Tensor, m_s: Tensor, x_r: Tensor, m_r: Tensor) -> dict[str, Tensor]:
        """Update D so that Eq. 4, weighted as in Eq. 5, grows; return its losses, and how often it is right."""
        config = self.config
        self.discriminator.requires_grad_(True)
        penalised = bool(config.r1) and self.steps % config.r1_every == 0
        discriminate = self.discriminator if penalised else self.discriminate  # torch.compile lacks forward mode
        penalty = torch.zeros((), device=self.device)
        with self.acceleration.autocast(self.device, exact=penalised):
            if penalised:
                real, penalties = losses.penalised(lambda x: discriminate(torch.cat([x, m_r], dim=1)), x_r)
                penalty = config.r1 * config.r1_every * penalties.mean()
            else:
                real = _exact(discriminate(torch.cat([x_r, m_r], dim=1)))
            fake = _exact(discriminate(torch.cat([x_s, m_s], dim=1)))
        patch, whole = (losses.adversarial_d(*heads).mean() for heads in zip(real, fake, strict=True))
        loss = config.lambda_a * patch + config.lambda_b * whole + penalty
        self.optimizer_d.zero_grad()
        loss.backward()
        self.team.average_gradients(self.discriminator.parameters())
        self.optimizer_d.step()
        right = [
            ((real_head > 0).float().mean() + (fake_head < 0).float().mean()) / 2
            for real_head, fake_head in zip(real, fake, strict=True)
        ]
        return {"D patch": patch, "D whole": whole, "D right, patch": right[0], "D right, whole": right[1]}

    def _step_of_g(self, x_s: Tensor, m_s: Tensor, hinged: Tensor, percept: Tensor) -> dict[str, Tensor]:
        """Update G so that Eq. 5 falls; return its losses."""
        config = self.config
        self.discriminator.requires_grad_(False)
        with self.acceleration.autocast(self.device):
            logits = _exact(self.discriminate(torch.cat([x_s, m_s], dim=1)))
        patch, whole = (losses.adversarial_g(head).mean() for head in logits)
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
        """Return Eq. 3, of images as the encoder was trained to see them."""
        features, goal = self._features(seen, fake.tumour), self.goal
        if goal is None:
            with torch.no_grad():
                goal = self._features(real.image, real.tumour)
        return losses.perceptual(features.means, goal.means, features.present & goal.present).mean()

    def _features(self, image: Tensor, tumour: Tensor) -> Features:
        with self.acceleration.autocast(self.device):
            stages = self.encode(image)
        return Features(*class_means(_exact(stages), tumour, self.design.classes))

    @torch.no_grad()
    def _average(self) -> None:
        """Update the moving average of G's weights; its decay grows, so that it forgets the first steps quickly."""
        if not self.config.average:
            return
        kept = min(self.config.average, (1 + self.steps) / (10 + self.steps))
        for name, value in self.generator.weights().items():
            self.averaged[name].lerp_(value, 1 - kept)


def _exact(tensors: Iterable[Tensor]) -> list[Tensor]:
    """Return tensors in float32, for losses."""
    return [tensor.float() for tensor in tensors]
