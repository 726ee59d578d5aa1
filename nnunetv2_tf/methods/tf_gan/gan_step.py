"""One training step of generator G and discriminator D. In: a batch of fake and real patches. Out: both, updated."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from nnunetv2_tf.baseline.class_features import class_means
from nnunetv2_tf.baseline.encoder import Encoder, renormalised
from nnunetv2_tf.methods.tf_gan import losses
from nnunetv2_tf.methods.tf_gan.balance import Balance
from nnunetv2_tf.methods.tf_gan.bands import BANDS
from nnunetv2_tf.methods.tf_gan.config import TFGANConfig
from nnunetv2_tf.methods.tf_gan.loss_weights import LossWeights
from nnunetv2_tf.methods.tf_gan.networks import Design, Generator
from nnunetv2_tf.methods.tf_gan.shake import Shake
from nnunetv2_tf.methods.tf_gan.shown import FeatureScale, Shown, View
from nnunetv2_tf.methods.tf_gan.sides import Fake, both_sides, fake_side, real_side
from nnunetv2_tf.methods.tf_gan.texture import STAGES, Texture
from nnunetv2_tf.networks.discriminators import DualHead, FeatureHeads, Verdict
from nnunetv2_tf.training.auc import auc
from nnunetv2_tf.training.distributed import Team
from nnunetv2_tf.training.moving_average import MovingAverage
from nnunetv2_tf.training.precision import Acceleration
from nnunetv2_tf.training.real_patches import Real, places_of

AUGMENT, TEXTURE, ONCE, SHAKE = 4, 8, 10, 12  # streams of random numbers; patches have 0 to 3, sides 6 and 7
CHECKED_EVERY = 20  # steps from one look at patients held out, and at the sizes of gradients, to the next


@dataclass(frozen=True)
class Refined:
    """Fake patches, as G has refined them."""

    z: Tensor  # (B, C, Z, Y, X) as they will be written
    x_s: Tensor  # (B, C, Z, Y, X) the same, in [-1, 1]
    x_s_: Tensor  # (B, C, Z, Y, X) the coarse image, the paper's x_s', in [-1, 1]
    shown: Shown
    may_change: Tensor  # (B, Z, Y, X) bool: where G's output has weight


class GANTrainer:
    """Generator G and discriminator D with their optimisers, and the frozen encoder F."""

    def __init__(
        self, config: TFGANConfig, design: Design, encoder: Encoder, z_scored: Sequence[bool],
        seed: int, device: torch.device,
        team: Team | None = None, acceleration: Acceleration | None = None,
    ) -> None:  # fmt: skip
        self.config, self.design, self.seed, self.device = config, design, seed, device
        self.team, self.acceleration = team or Team(), acceleration or Acceleration.of(device)
        self.encoder, self.z_scored = encoder.to(device), torch.tensor(z_scored, device=device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.generator = self.acceleration.with_memory_format(Generator(design).to(device))
            self.discriminator = self.acceleration.with_memory_format(self._discriminator().to(device))
        compiled = self.acceleration.compiled_for_training
        self.generate, self.discriminate = compiled(self.generator), compiled(self.discriminator)
        self.view = View(design, compiled(self.encoder), self.acceleration)
        self.averaged = MovingAverage(self.generator.weights(), config.average)
        settings = {"betas": config.betas, "fused": device.type == "cuda"}
        self.optimizer_g = torch.optim.Adam(self.generator.parameters(), lr=config.rate_g, **settings)
        self.optimizer_d = torch.optim.Adam(self.discriminator.parameters(), lr=config.rate_d, **settings)
        widths = (*self.encoder.widths[:STAGES], BANDS * len(design.channels))
        self.texture = Texture(design.classes, widths, device, self.team)
        self.balance = Balance()
        self.held_out: tuple[list[Fake], list[Real]] = [], []
        self.loss_weights = LossWeights(config, self.team)
        self.steps = 0

    def learn_scale(self, patches: Iterable[Mapping[str, Tensor]]) -> None:
        """Measure the encoder's features in real patches, by which the discriminator sees them."""
        self.scale = FeatureScale.of(self.view.of_real(self.generator, real) for real in self._augmented(patches))

    def hold_out(self, fakes: Iterable[Mapping[str, Tensor]], reals: Iterable[Mapping[str, Tensor]]) -> None:
        """Take fake patches, and real ones of patients that nobody learns from; the balance is kept by them."""
        held_out = list(self._augmented(reals))
        made = [
            fake_side(patch, self.device, self.design.spacing, self._augment([self.seed, ONCE, number]))
            for number, patch in enumerate(islice(fakes, len(held_out)))
        ]
        self.held_out = made, held_out

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
        """Return the weights, their moving average, the states of the optimisers, and what was seen lately."""
        return {
            "generator": self.generator.weights(),
            "averaged": self.averaged.weights,
            "discriminator": self.discriminator.state_dict(),
            "optimizer_g": self.optimizer_g.state_dict(),
            "optimizer_d": self.optimizer_d.state_dict(),
            "texture": self.texture.state(),
            "balance": self.balance.state(),
            "sizes": dict(self.loss_weights.sizes),
            "steps": self.steps,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Load what `state()` saved."""
        self.generator.load_weights(state["generator"])
        for name in ("discriminator", "optimizer_g", "optimizer_d"):
            getattr(self, name).load_state_dict(state[name])
        self.averaged.restore(state["averaged"])
        self.texture.restore(state["texture"])
        self.balance.restore(state["balance"])
        self.loss_weights.sizes, self.steps = dict(state["sizes"]), state["steps"]

    def weights(self) -> Mapping[str, Tensor]:
        """Return the generator's weights that are to be used: averaged, if the settings say so."""
        return self.averaged.weights if self.config.average else self.generator.weights()

    def _augmented(self, patches: Iterable[Mapping[str, Tensor]]) -> Iterator[Real]:
        """Yield real patches, augmented as in training: what is sharper would be told by that."""
        for number, patch in enumerate(patches):
            yield real_side(patch, self.device, self.design.spacing, self._augment([self.seed, ONCE, number]))

    def _augment(self, seed: Sequence[int]) -> Sequence[int] | None:
        return seed if self.config.augmented else None

    def _discriminator(self) -> nn.Module:
        config, design = self.config, self.design
        channels, classes = len(design.channels), len(design.classes)
        if config.on_features:
            return FeatureHeads(channels, classes, self.encoder.widths, config.head_width)
        widths = config.discriminator_features or [2 * width for width in design.features]
        return DualHead(channels + classes, widths, design.levels, config.tap)

    def _step(self, batch: Mapping[str, Tensor], seed: Sequence[int]) -> Mapping[str, Tensor]:
        places = places_of(batch)
        fake, real = both_sides(batch, self.device, self.design.spacing, self._augment(seed))
        of_fake, of_real = (
            Shake.draw(self.config.shake, [*seed, SHAKE, side], places, self.device) for side in range(2)
        )
        refined = self._refined(fake, of_fake)
        shown = {"real": self.view.of_real(self.generator, real, of_real), "made": refined.shown}
        curves = self._step_of_d(refined.shown.detached(), shown["real"])
        if self.steps % CHECKED_EVERY == 0:
            self._check_held_out()
        margin = self._margin(fake.distance)
        hinged = losses.hinge(refined.x_s, refined.x_s_, fake.tumour > 0, refined.may_change, margin).mean()
        maps = {"real": shown["real"].visible_part(real.tumour), "made": shown["made"].visible_part(fake.tumour)}
        similarity = {}
        if self.config.lambda_d:
            similarity["perceptual"] = self._perceptual(shown, maps)
        if self.config.lambda_e:
            scaled = {kind: [*self.scale.features(one)[:STAGES], self.scale.bands(one)] for kind, one in shown.items()}
            similarity["texture"] = self.texture.distance(scaled, maps, [*seed, TEXTURE], places)
        tumour = ((fake.tumour > 0) & refined.may_change)[:, None].to(refined.z.dtype)
        curves |= self._step_of_g(refined, hinged, similarity, tumour)
        self.averaged.follow(self.generator.weights(), self.steps)
        self.steps += 1
        change = ((refined.x_s - refined.x_s_).detach().abs() * tumour).sum()
        return {**curves, "change in the tumour": change / (tumour.sum() * refined.x_s.shape[1]).clamp_min(1)}

    def _refined(self, fake: Fake, shake: Shake | None = None) -> Refined:
        depth = self.generator.depth_weight(fake.organ)
        with self.acceleration.autocast(self.device):
            z = self.view.refined(self.generate, fake, depth)
        seen = renormalised(z, fake.host, fake.n_norm, fake.body, self.z_scored, fake.beyond)
        shown = self.view.of(seen, fake, depth, shake)
        may_change = fake.organ & fake.body & (shown.visible[:, 0] > 0)  # elsewhere the output has no weight
        x_s, x_s_ = (self.design.domain.normalise(image, fake.body) for image in (z, fake.coarse))
        return Refined(z, x_s, x_s_, shown, may_change)

    def _verdict(self, shown: Shown, network: nn.Module) -> Verdict:
        features = self.scale.features(shown) if self.config.on_features else ()
        with self.acceleration.autocast(self.device):
            return network(shown.x, shown.m, shown.visible, features)

    def _step_of_d(self, shown_s: Shown, shown_r: Shown) -> dict[str, Tensor]:
        """Update D so that Eq. 4, weighted as in Eq. 5, grows, if it is to learn now; return the curves."""
        config = self.config
        learns = self.balance.discriminator_learns
        self.discriminator.requires_grad_(True)
        with torch.set_grad_enabled(learns):
            real, fake = self._verdict(shown_r, self.discriminate), self._verdict(shown_s, self.discriminate)
            patch, whole = (loss.mean() for loss in losses.adversarial_d(real, fake))
        if learns:
            self.optimizer_d.zero_grad()
            (config.lambda_a * patch + config.lambda_b * whole).backward()
            self.team.average_gradients(self.discriminator.parameters())
            self.optimizer_d.step()
        curves = {"D patch": patch.detach(), "D whole": whole.detach(), "D learns": self._number(learns)}
        for head, of_real, of_fake in (("patch", real.scores(), fake.scores()), ("whole", real.whole, fake.whole)):
            for kind, scores in (("real", of_real), ("made", of_fake)):
                self.balance.saw(f"{kind}, {head}", self.team.gathered(scores.detach().flatten()))
            curves[f"D's AUC, {head}"] = self._number(self.balance.auc(head))
        curves["D's AUC, held out"] = self._number(self.balance.held_out)
        return curves

    @torch.no_grad()
    def _check_held_out(self) -> None:
        """Ask D about patients that it does not learn from; at one moment, since its scores rise and fall together."""
        fakes, reals = self.held_out
        if not reals:
            return
        shown = {
            "made": [self._refined(fake).shown for fake in fakes],
            "real": [self.view.of_real(self.generator, real) for real in reals],
        }
        made, real = (
            torch.cat([self._verdict(one, self.discriminator).scores() for one in shown[kind]])
            for kind in ("made", "real")
        )
        found = self._number(auc(real.cpu().numpy(), made.cpu().numpy()))
        self.balance.checked(self.team.mean({"AUC": found})["AUC"])

    def _step_of_g(
        self, refined: Refined, hinged: Tensor, similarity: Mapping[str, Tensor], tumour: Tensor
    ) -> dict[str, Tensor]:
        """Update G so that Eq. 5 falls; return its losses."""
        self.discriminator.requires_grad_(False)
        patch, whole = (loss.mean() for loss in losses.adversarial_g(self._verdict(refined.shown, self.discriminate)))
        terms = {"patch": patch, "whole": whole, **similarity}
        if self.steps % CHECKED_EVERY == 0:
            self.loss_weights.measure(terms, refined.z, tumour)
        lambdas = {**self.loss_weights.of(terms, self.balance.generator_listens), "hinge": self.lambda_c}
        self.optimizer_g.zero_grad()
        losses.total({**terms, "hinge": hinged}, lambdas).backward()
        self.team.average_gradients(self.generator.parameters())
        self.optimizer_g.step()
        named = {"G patch": patch, "G whole": whole, "hinge": hinged, **similarity}
        sizes = {f"gradient of {name}": self._number(self.loss_weights.sizes.get(name, 0.0)) for name in terms}
        return {**{name: term.detach() for name, term in named.items()}, **sizes}

    def _number(self, value: float) -> Tensor:
        return torch.tensor(float(value), device=self.device)

    def _margin(self, distance: Tensor) -> Tensor | float:
        config = self.config
        if not config.margin_near:
            return config.margin
        return config.margin + config.margin_near * torch.exp(-distance / config.margin_mm)

    def _perceptual(self, shown: Mapping[str, Shown], maps: Mapping[str, Tensor]) -> Tensor:
        """Return Eq. 3."""
        (f_s, in_s), (f_r, in_r) = (
            class_means(shown[kind].features, maps[kind], self.design.classes) for kind in ("made", "real")
        )
        return losses.perceptual(f_s, f_r, in_s & in_r).mean()
