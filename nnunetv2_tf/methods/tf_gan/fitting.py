"""Training of TF-GAN. In: real cases, healthy sites, stage 1, the baseline. Out: generator.safetensors, logs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from nnunetv2.utilities.default_n_proc_DA import get_allowed_n_proc_DA

from nnunetv2_tf.baseline.encoder import Encoder
from nnunetv2_tf.geometry.feather import feather
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.panels import Panel, write_panels
from nnunetv2_tf.methods.base import FitData, Method
from nnunetv2_tf.methods.tf_gan.config import TFGANConfig
from nnunetv2_tf.methods.tf_gan.gan_step import GANTrainer
from nnunetv2_tf.methods.tf_gan.networks import WEIGHTS, Design, Generator, blended, one_hot, write_generator
from nnunetv2_tf.methods.tf_gan.patches import Patches, Pieces
from nnunetv2_tf.networks.levels import Levels
from nnunetv2_tf.training.intensity_range import IntensityRange
from nnunetv2_tf.training.loading import Batch, as_tensors
from nnunetv2_tf.training.loop import Curves, Loop, Schedule
from nnunetv2_tf.training.pool import Pool
from nnunetv2_tf.working_space.preprocess import Plan

PREVIEW, GOAL = 2, 3  # streams of random numbers
DRAWS = 4  # real patches per donor, whose mean features are the goal of the perceptual loss
SHOWN = 8  # patches in a preview
SURE, LONG = 0.98, 20  # the discriminator always wins: so often right, for so many epochs
UNCHANGED, EARLY = 2e-3, 5  # the generator changes nothing: so little, in [-1, 1], after so many epochs
PLOTS = {
    "generator": ("G patch", "G whole", "hinge", "perceptual", "change in the tumour"),
    "discriminator": ("D patch", "D whole"),
    "discriminator is right": ("D right, patch", "D right, whole"),
    "learning rate": ("rate of G", "rate of D"),
    "weight of the hinge": ("lambda_c",),
}


def levels_of(config: TFGANConfig, plan: Plan) -> Levels:
    """Return the resolution levels of both networks, and with them the patch that they see."""
    patch = [min(int(size), config.largest_patch) for size in plan.manager.patch_size]
    return Levels.of(patch, plan.manager.spacing, config.levels)


def check(config: TFGANConfig, plan: Plan, processes: int) -> None:
    """Raise when it cannot be trained with these settings and plans by so many processes."""
    if config.batch % processes:
        possible = [str(number) for number in range(1, config.batch + 1) if config.batch % number == 0]
        raise UserError(
            f"A batch of {config.batch} patches cannot be shared evenly by {processes} processes; take "
            f"-num_gpus {' or '.join(possible)}."
        )
    if levels_of(config, plan).number < 2:
        patch = " x ".join(map(str, plan.manager.patch_size))
        raise UserError(
            f"The plans' patch of {patch} voxels is too small for TF-GAN, which has to halve it once and keep four "
            "voxels; take plans with a larger patch."
        )


class MonitoredGAN(GANTrainer):
    """The training step, with previews and warnings for the training loop."""

    shown: Sequence[Batch]  # patches of training tumours in healthy hosts, the same in all previews
    sites: Pool  # that batches are made of

    def begin(self, epoch: int) -> Mapping[str, float]:
        """Set what changes with the epoch, and delete sites that are not used any more."""
        if self.team.is_main:
            self.sites.tidy(epoch)
        return super().begin(epoch)

    def preview(self, path: Path) -> None:
        """Paint a row per patch: host, coarse and refined image, and the refined one with the tumour's outline."""
        generator = Generator(self.design).to(self.device).eval()
        generator.load_weights(self.weights())
        rows = []
        for patch in self.shown:
            batch = {name: value[None].to(self.device) for name, value in patch.items()}
            domain, host, coarse = self.design.domain, batch["host"], batch["coarse"]
            with torch.no_grad():
                m_s = one_hot(batch["tumour"], self.design.classes)
                added = generator(domain.normalise(coarse, batch["body"]), m_s)
                refined = generator.refined(coarse, added, generator.depth_weight(batch["organ"]))
            share = feather(batch["distance"], self.design.reach_mm) * batch["organ"]
            images = (host, coarse, blended(coarse, refined, share))
            x_h, x_s_, x_s = (domain.normalise(image, batch["body"]) for image in images)
            tumour = patch["tumour"].numpy()
            cut = int((tumour > 0).sum(axis=(1, 2)).argmax())
            pictures = [x[0, 0, cut].cpu().numpy() for x in (x_h, x_s_, x_s, x_s)]
            titles = ("host", "coarse", "refined", "") if not rows else ("",) * 4
            outlines = (None, None, None, tumour[cut])
            rows.append(
                [
                    Panel(picture, (-1.0, 1.0), outline, title)
                    for picture, outline, title in zip(pictures, outlines, titles, strict=True)
                ]
            )
        write_panels(rows, path)

    def remarks(self, curves: Curves) -> list[str]:
        """Warn when the discriminator always wins or the generator changes nothing."""
        warnings = []
        for head in ("patch", "whole"):
            recent = curves[f"D right, {head}"][-LONG:]
            if len(recent) == LONG and min(recent) > SURE:
                warnings.append(
                    f"The discriminator has been right {100 * SURE:g} % of the time for {LONG} epochs ({head}): it may "
                    "tell cohorts apart rather than tumours. Look at previews/; lower rate_d, or raise r1."
                )
        if len(curves["change in the tumour"]) > EARLY and curves["change in the tumour"][-1] < UNCHANGED:
            warnings.append(
                "The generator returns its input nearly unchanged. Look at previews/; raise rate_g, or lower lambda_c."
            )
        return warnings


class GANFit:
    """One training of TF-GAN."""

    def __init__(
        self, config: TFGANConfig, data: FitData, stage1: Method, folder: Path, device: torch.device
    ) -> None:  # fmt: skip
        self.config, self.folder, self.team = config, folder, data.team
        self.seed = int(data.rng.integers(2**32))
        manager = data.plan.manager
        donors = [case for case in data.real if case.has_tumour()]
        levels = levels_of(config, data.plan)
        features = list(config.features or manager.network_arch_init_kwargs["features_per_stage"])
        features += features[-1:] * (config.levels - len(features))
        z, y, x = manager.spacing
        self.design = Design(
            data.channels, data.roles.tumour, tuple(features), levels,
            config.residual, config.reach_mm, config.rim_mm, (z, y, x), IntensityRange.of(data.real),
        )  # fmt: skip
        organ_known = data.plan.masked or bool(data.roles.organ)  # in real cases, too
        centred = config.centred if organ_known else 1.0
        pieces = Pieces(
            data.sample_site, stage1, donors, levels.patch, config.distance_clip_mm, centred < 1, self.seed
        )  # fmt: skip
        steps = min(config.iterations, max(1, len(data.healthy) // config.batch))
        self.patches = Patches(
            pieces,
            Pool(pieces.fake, config.pool, config.renewed, data.pool and data.pool / "sites"),
            Pool(pieces.real, len(donors), 0, data.pool and data.pool / "real"),
            centred, config.batch, range(self.team.rank, config.batch, self.team.size), steps,
        )  # fmt: skip
        encoder = Encoder.of(data.baseline).to(device)
        z_scored = [scheme == "ZScoreNormalization" for scheme in manager.normalization_schemes]
        self.training = MonitoredGAN(config, self.design, encoder, z_scored, self.seed, device, self.team)
        self.training.sites = self.patches.fakes
        schedule = Schedule(config.epochs, steps, config.preview_every, PLOTS)
        self.loop = Loop(self.training, schedule, folder, self.team)

    def run(self) -> None:
        """Train, or resume the training, and write generator.safetensors."""
        self.training.shown = [self._shown(index) for index in range(SHOWN if self.team.is_main else 0)]
        if self.config.prototypes:
            draws = range(DRAWS * len(self.patches.pieces.donors))
            real_patches = (self.patches.real(np.random.default_rng([self.seed, GOAL, index])) for index in draws)
            self.training.learn_goal(map(as_tensors, real_patches))
        self.loop.logger.lines(self._described())
        self.loop.run(self.patches, -(-get_allowed_n_proc_DA() // self.team.local))
        if self.team.is_main:
            write_generator(self.folder / WEIGHTS, self.design, self.training.weights())

    def _shown(self, index: int) -> Batch:
        """Return a patch for previews, of a site of its own."""
        rng = np.random.default_rng([self.seed, PREVIEW, index])
        around = replace(self.patches, centred=1.0)
        return as_tensors(around.fake(around.pieces.new_fake(rng), rng))

    def _pools(self) -> list[str]:
        return [*self.patches.fakes.described("sites with coarse tumours"), *self.patches.reals.described("real cases")]

    def _described(self) -> list[str]:
        levels, wanted = self.design.levels, self.config.levels
        patch = " x ".join(map(str, levels.patch))
        fewer = f", not {wanted}: each halves it, and four voxels are kept" if levels.number < wanted else ""
        networks = (self.training.generator, self.training.discriminator)
        sizes = [sum(weight.numel() for weight in network.parameters()) / 1e6 for network in networks]
        return [
            f"patches of {patch} voxels, {levels.number} levels{fewer}",
            f"generator {sizes[0]:.1f} million weights, discriminator {sizes[1]:.1f} million",
            f"{self.loop.schedule.steps} steps an epoch, {self.config.batch} patches each"
            + (f", shared by {self.team.size} processes" if self.team.size > 1 else ""),
            *(self._pools() if self.team.is_main else ()),
        ]
