"""Trains TF-GAN. In: real cases, healthy sites, stage 1, the baseline. Out: generator.safetensors, and Loop's files."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from nnunetv2.utilities.default_n_proc_DA import get_allowed_n_proc_DA

from nnunetv2_tf.baseline.encoder import Encoder
from nnunetv2_tf.cases import channel_names
from nnunetv2_tf.errors import UserError
from nnunetv2_tf.methods.base import FitData, Method
from nnunetv2_tf.methods.tf_gan.config import TFGANConfig
from nnunetv2_tf.methods.tf_gan.domain import Domain
from nnunetv2_tf.methods.tf_gan.game import Game
from nnunetv2_tf.methods.tf_gan.networks import WEIGHTS, Design, Generator, composed, one_hot, share_of, write_generator
from nnunetv2_tf.methods.tf_gan.patches import Patches
from nnunetv2_tf.networks.levels import Levels
from nnunetv2_tf.panels import Panel, write_panels
from nnunetv2_tf.preparation.preprocess import Plan
from nnunetv2_tf.training.loading import Batch, as_tensors
from nnunetv2_tf.training.loop import Curves, Loop, Schedule

PREVIEW, GOAL = 2, 3  # streams of random numbers
DRAWS = 4  # of real patches, for each donor, that are the goal of features
SHOWN = 8
SURE, LONG = 0.98, 20  # of the discriminator: how often right, for how many epochs
UNCHANGED, EARLY = 2e-3, 5  # in [-1, 1]; epochs that a generator has to begin
PLOTS = {
    "generator": ("G patch", "G whole", "hinge", "perceptual", "change in the tumour"),
    "discriminator": ("D patch", "D whole"),
    "discriminator is right": ("D right, patch", "D right, whole"),
    "learning rate": ("rate of G", "rate of D"),
    "weight of the hinge": ("lambda_c",),
}


def levels_of(config: TFGANConfig, plan: Plan) -> Levels:
    """How deep the networks are, and the patch they see."""
    patch = [min(int(size), config.largest_patch) for size in plan.manager.patch_size]
    return Levels.of(patch, plan.manager.spacing, config.levels)


def check(config: TFGANConfig, plan: Plan, processes: int) -> None:
    """Raises when it cannot be trained."""
    if config.batch % processes:
        possible = [str(one) for one in range(1, config.batch + 1) if config.batch % one == 0]
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


class Training(Game):
    """The game, and how to look at it."""

    shown: Sequence[Batch]  # patches of fold-train tumours in healthy hosts, the same all along

    def preview(self, path: Path) -> None:
        """Host, coarse, refined, and refined with the map, through the middle of each tumour."""
        generator = Generator(self.design).to(self.device).eval()
        generator.take(self.weights())
        rows = []
        for patch in self.shown:
            one = {name: value[None].to(self.device) for name, value in patch.items()}
            domain, host, coarse = self.design.domain, one["host"], one["coarse"]
            with torch.no_grad():
                added = generator(domain.into(coarse, one["body"]), one_hot(one["tumour"], self.design.classes))
                finer = generator.refined(coarse, added, generator.depth(one["organ"]))
            share = share_of(one["distance"], self.design.reach_mm) * one["organ"]
            images = (host, composed(host, coarse, share), composed(host, finer, share))
            x_h, x_s_, x_s = (domain.into(image, one["body"]) for image in images)
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
        """When one side does not play."""
        found = []
        for head in ("patch", "whole"):
            recent = curves[f"D right, {head}"][-LONG:]
            if len(recent) == LONG and min(recent) > SURE:
                found.append(
                    f"The discriminator has been right {100 * SURE:g} % of the time for {LONG} epochs ({head}): it may "
                    "tell cohorts apart rather than tumours. Look at previews/; lower rate_d, or raise r1."
                )
        if len(curves["change in the tumour"]) > EARLY and curves["change in the tumour"][-1] < UNCHANGED:
            found.append(
                "The generator returns its input nearly unchanged. Look at previews/; raise rate_g, or lower lambda_c."
            )
        return found


class Fit:
    """One run of training."""

    def __init__(
        self, config: TFGANConfig, data: FitData, stage1: Method, folder: Path, device: torch.device
    ) -> None:  # fmt: skip
        self.config, self.folder, self.team = config, folder, data.team
        self.seed = int(data.rng.integers(2**32))
        case = data.real[0]
        manager = case.plan.manager
        donors = [one for one in data.real if one.has_tumour()]
        levels = levels_of(config, case.plan)
        features = list(config.features or manager.network_arch_init_kwargs["features_per_stage"])
        features += features[-1:] * (config.levels - len(features))
        z, y, x = manager.spacing
        self.design = Design(
            tuple(channel_names(case.dataset)), case.meaning.tumour, tuple(features), levels,
            config.residual, config.reach_mm, config.rim_mm, (z, y, x), Domain.of(data.real),
        )  # fmt: skip
        known = case.plan.masked or bool(case.meaning.organ)  # what the organ is, of real scans too
        self.patches = Patches(
            data.sample_site, stage1, donors, levels.patch, config.reach_mm, config.far,
            config.centred if known else 1.0, range(self.team.rank, config.batch, self.team.size), self.seed,
        )  # fmt: skip
        encoder = Encoder.of(data.baseline).to(device)
        z_scored = [scheme == "ZScoreNormalization" for scheme in manager.normalization_schemes]
        self.training = Training(config, self.design, encoder, z_scored, self.seed, device, self.team)
        steps = min(config.iterations, max(1, len(data.healthy) // config.batch))
        schedule = Schedule(config.epochs, steps, config.preview_every, PLOTS)
        self.loop = Loop(self.training, schedule, folder, self.team)

    def run(self) -> None:
        """Trains, or goes on training; the end is in generator.safetensors."""
        around = replace(self.patches, centred=1.0)
        self.training.shown = [
            as_tensors(around.fake(np.random.default_rng([self.seed, PREVIEW, index])))
            for index in range(SHOWN if self.team.leads else 0)
        ]
        if self.config.prototypes:
            draws = range(DRAWS * len(self.patches.donors))
            several = (self.patches.real(np.random.default_rng([self.seed, GOAL, index])) for index in draws)
            self.training.learn_goal(map(as_tensors, several))
        self.loop.logger.lines(self._described())
        self.loop.run(self.patches, -(-get_allowed_n_proc_DA() // self.team.local))
        if self.team.leads:
            write_generator(self.folder / WEIGHTS, self.design, self.training.weights())

    def _described(self) -> list[str]:
        levels, wanted = self.design.levels, self.config.levels
        patch = " x ".join(map(str, levels.patch))
        fewer = f", not {wanted}: each halves it, and four voxels are kept" if levels.number < wanted else ""
        players = (self.training.generator, self.training.discriminator)
        sizes = [sum(weight.numel() for weight in player.parameters()) / 1e6 for player in players]
        return [
            f"patches of {patch} voxels, {levels.number} levels{fewer}",
            f"generator {sizes[0]:.1f} million weights, discriminator {sizes[1]:.1f} million",
            f"{self.loop.schedule.steps} steps an epoch, {self.config.batch} patches each"
            + (f", shared by {self.team.size} processes" if self.team.size > 1 else ""),
        ]
