"""One training step of generator G and discriminator D. In: a batch of hosts and real cases. Out: both, updated."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nnunetv2_tf.baseline.class_features import class_masks
from nnunetv2_tf.baseline.class_probabilities import ClassProbabilities
from nnunetv2_tf.baseline.encoder import renormalised
from nnunetv2_tf.methods.freetumor.config import FreeTumorConfig
from nnunetv2_tf.methods.freetumor.losses import Losses
from nnunetv2_tf.methods.freetumor.networks import Content, Discriminator, FreeTumorDesign
from nnunetv2_tf.methods.freetumor.patches import Host
from nnunetv2_tf.methods.optimised import Optimised
from nnunetv2_tf.networks.saved import weights_of
from nnunetv2_tf.training.auc import auc
from nnunetv2_tf.training.moving_average import MovingAverage
from nnunetv2_tf.training.precision import Acceleration
from nnunetv2_tf.training.real_patches import Real

AUGMENT, OF_HOST, OF_REAL = 4, 6, 7  # streams of random numbers
LATELY = 64  # patches of either kind, over which an AUC is taken


class Adversaries(Optimised):
    """Generator G and discriminator D with their optimisers, and the frozen segmentor S."""

    def __init__(
        self, config: FreeTumorConfig, design: FreeTumorDesign, segmentor: nn.Module, discriminator: Discriminator,
        z_scored: Sequence[bool], spacing: tuple[float, float, float], seed: int, device: torch.device,
        acceleration: Acceleration | None = None,
    ) -> None:  # fmt: skip
        """Set up.

        Args:
            config: the settings
            design: of the generator
            segmentor: S, frozen
            discriminator: D, another copy of it with votes
            z_scored: by channel, whether nnU-Net z-scores it
            spacing: mm between voxels (Z, Y, X)
            seed: of the generator's weights, and of augmentation
            device: where to work
            acceleration: None: what is fast there
        """
        self.config, self.design, self.spacing, self.seed, self.device = config, design, spacing, seed, device
        self.acceleration = acceleration or Acceleration.of(device)
        self.z_scored = torch.tensor(z_scored, device=device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.generator = Content(design).to(device)
        self.segmentor, self.discriminator = segmentor.to(device), discriminator.to(device).train()
        compiled = self.acceleration.compiled_for_training
        self.generate, self.discriminate = compiled(self.generator), compiled(self.discriminator)
        self.of_classes: ClassProbabilities = discriminator.of_classes
        self.losses = Losses(design.classes, config.logarithmic)
        self.allowed = torch.zeros(len(design.classes), device=device)  # of L_seg, by class
        self.averaged = MovingAverage(weights_of(self.generator), config.average)
        self.networks = {"G": self.generator, "D": self.discriminator}
        self.optimizers = {
            name: torch.optim.Adam(network.parameters(), config.rate, config.betas, fused=device.type == "cuda")
            for name, network in self.networks.items()
        }
        self.votes = {kind: deque[float](maxlen=LATELY) for kind in ("real", "synthetic")}
        self.steps = 0

    def begin(self, epoch: int) -> Mapping[str, float]:  # noqa: ARG002 (the rate stays)
        """Return the learning rate, which stays what it is."""
        return {"rate": self.config.rate}

    def step(self, batch: Mapping[str, Tensor], epoch: int, step: int) -> Mapping[str, Tensor]:
        """Do a step of D and then one of G; return the curves."""
        with self.acceleration.cudnn_benchmark():
            return self._step(batch, [self.seed, AUGMENT, epoch, step])

    def state(self) -> dict[str, Any]:
        """Return the weights, their moving average, the states of the optimisers, and what was seen lately."""
        votes = {kind: list(values) for kind, values in self.votes.items()}
        return {**super().state(), "averaged": self.averaged.weights, "votes": votes, "steps": self.steps}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Load what `state()` returned."""
        super().restore(state)
        self.averaged.restore(state["averaged"])
        for kind, values in state["votes"].items():
            self.votes[kind] = deque(values, maxlen=LATELY)
        self.steps = state["steps"]

    def weights(self) -> Mapping[str, Tensor]:
        """Return the generator's weights that are to be used: averaged, if the settings say so."""
        return self.averaged.weights if self.config.average else weights_of(self.generator)

    @torch.no_grad()
    def missed_of_real(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return what `Losses.by_class` says of S and a batch's real tumours."""
        real = Real.of(batch, self.device, self.spacing, None)
        with self.acceleration.autocast(self.device):
            p_s = self.of_classes(self.segmentor(real.image).float())
        return self.losses.by_class(p_s, real.tumour)

    def with_tumours(self, generator: nn.Module, host: Host) -> Tensor:
        """Return hosts with tumours, (B, C, Z, Y, X), as nnU-Net will normalise them."""
        x = self.design.domain.normalise(host.image, host.body)
        difference = generator(x, host.tumour, host.texture)
        made = self.generator.composed(host.image, difference, host.soft)
        return renormalised(made, host.image, host.n_norm, host.body, self.z_scored)

    def _step(self, batch: Mapping[str, Tensor], seed: Sequence[int]) -> Mapping[str, Tensor]:
        of_host, of_real = (
            [*seed, stream] if self.config.augmented else None for stream in (OF_HOST, OF_REAL)
        )  # fmt: skip
        host = Host.of(batch, self.device, self.spacing, of_host)
        real = Real.of(batch, self.device, self.spacing, of_real)
        with self.acceleration.autocast(self.device):
            made = self.with_tumours(self.generate, host)
        curves = self._step_of_d(made.detach(), host, real)
        curves |= self._step_of_g(made, host)
        self.averaged.follow(weights_of(self.generator), self.steps)
        self.steps += 1
        return curves

    def _step_of_d(self, made: Tensor, host: Host, real: Real) -> dict[str, Tensor]:
        """Update D; patients' own tumours count as real in hosts, too."""
        self.discriminator.requires_grad_(True)
        with self.acceleration.autocast(self.device):
            own, p_fake, votes = self.discriminate(made)
            p_real, _, others = self.discriminate(real.image)
        seen = torch.cat([p_real, own], dim=2)
        loss = self.losses.d(p_fake, host.tumour, seen, torch.cat([real.tumour, host.own], dim=1)).mean()
        self.descend("D", loss)
        for kind, given, where in (("synthetic", votes, host.tumour), ("real", others, real.tumour)):
            self.votes[kind].extend(mean_votes(given.detach(), where, self.design.classes).tolist())
        found = auc(self.votes["synthetic"], self.votes["real"])
        return {"D": loss.detach(), "AUC of D's votes": torch.tensor(found, device=self.device)}

    def _step_of_g(self, made: Tensor, host: Host) -> dict[str, Tensor]:
        """Update G; return its losses, and how sure S is that its tumours are tumours."""
        self.discriminator.requires_grad_(False)
        with self.acceleration.autocast(self.device):
            p_real, _, _ = self.discriminate(made)
            p_s = self.of_classes(self.segmentor(made).float())
        adv = self.losses.adv(p_real, host.tumour).mean()
        seg = self.losses.seg(p_s, host.tumour, self.allowed).mean()
        self.descend("G", self.config.lambda_adv * adv + self.config.lambda_seg * seg)
        taken = Losses(self.design.classes, False)
        recognised, believed = (1 - taken.seg(p.detach(), host.tumour).mean() for p in (p_s, p_real))
        return {"G adv": adv.detach(), "G seg": seg.detach(), "p of S": recognised, "p of D": believed}


def mean_votes(votes: Tensor, where: Tensor, classes: Sequence[int]) -> Tensor:
    """Return the mean of votes (B, K, Z, Y, X), each voxel's for its own class, over each map that holds tumour."""
    masks = class_masks(where, classes)
    sums = torch.where(masks, votes, torch.zeros_like(votes)).sum(dim=(1, 2, 3, 4))
    voxels = masks.sum(dim=(1, 2, 3, 4))
    return sums[voxels > 0] / voxels[voxels > 0]
