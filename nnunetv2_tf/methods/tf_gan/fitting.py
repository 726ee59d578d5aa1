"""Training of TF-GAN. In: real cases, healthy sites, stage 1, the baseline. Out: generator.safetensors, logs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count, islice
from pathlib import Path

import numpy as np
import torch
from nnunetv2.utilities.default_n_proc_DA import get_allowed_n_proc_DA

from nnunetv2_tf.baseline.encoder import Encoder
from nnunetv2_tf.geometry.boxes import fullest_slice
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.panels import outlined_row, titled, write_panels
from nnunetv2_tf.methods.base import FitData, Method
from nnunetv2_tf.methods.mixed_sites import MixedSites
from nnunetv2_tf.methods.tf_gan.config import TFGANConfig
from nnunetv2_tf.methods.tf_gan.gan_step import GANTrainer
from nnunetv2_tf.methods.tf_gan.networks import WEIGHTS, Design, Generator, write_generator
from nnunetv2_tf.methods.tf_gan.patches import (
    Patches,
    Pieces,
    distance_clip,
    held_out_of,
    patch_for,
)
from nnunetv2_tf.methods.tf_gan.sides import FAKE, Fake
from nnunetv2_tf.networks.levels import Levels, check_patch, features_of_levels
from nnunetv2_tf.networks.saved import millions_of_weights
from nnunetv2_tf.training.intensity_range import IntensityRange
from nnunetv2_tf.training.loading import Batch, as_tensors
from nnunetv2_tf.training.loop import Curves, Loop, Schedule
from nnunetv2_tf.training.pool import Pool
from nnunetv2_tf.working_space.preprocess import Plan

PREVIEW, SCALE, HELD_OUT = 11, 3, 9  # streams of random numbers
DRAWS = 4  # real patches per donor, by which features are scaled, or who learns is decided
MOST_PATCHES = {SCALE: 64, HELD_OUT: 16}  # of all donors together
SHOWN = 8  # patches in a preview
SURE, CHANCE, LONG = 0.98, 0.55, 20  # the discriminator always wins, or never: its AUC, for so many epochs
UNCHANGED, EARLY = 2e-3, 5  # the generator changes nothing: so little, in [-1, 1], after so many epochs
PLOTS = {
    "adversarial loss": ("G patch", "G whole", "D patch", "D whole"),
    "discriminator's AUC": ("D's AUC, patch", "D's AUC, whole", "D's AUC, held out", "D learns"),
    "what is changed": ("hinge", "change in the tumour"),
    "learning rate": ("rate of G", "rate of D"),
    "weight of the hinge": ("lambda_c",),
}


def check(config: TFGANConfig, plan: Plan, processes: int) -> None:
    """Raise when it cannot be trained with these settings and plans by so many processes."""
    if config.batch % processes:
        possible = [str(number) for number in range(1, config.batch + 1) if config.batch % number == 0]
        raise UserError(
            f"A batch of {config.batch} patches cannot be shared evenly by {processes} processes; take "
            f"-num_gpus {' or '.join(possible)}."
        )
    check_patch(plan, config.largest_patch, config.levels, "TF-GAN")


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
            fake = Fake(*(patch[name][None].to(self.device) for name in FAKE))
            with torch.no_grad():
                refined = self.view.refined(generator, fake, generator.depth_weight(fake.organ))
            images = (fake.host, fake.coarse, refined)
            x_h, x_s_, x_s = (self.design.domain.normalise(image, fake.body) for image in images)
            tumour = patch["tumour"].numpy()
            cut = fullest_slice(tumour > 0)
            pictures = [x[0, 0, cut].cpu().numpy() for x in (x_h, x_s_, x_s)]
            rows.append(outlined_row(pictures, (-1.0, 1.0), tumour[cut]))
        write_panels(titled(rows, ("host", "coarse", "refined")), path)

    def remarks(self, curves: Curves) -> list[str]:
        """Warn when the discriminator always wins, or never, or the generator changes nothing."""
        warnings = []
        for head in ("patch", "whole"):
            recent = curves[f"D's AUC, {head}"][-LONG:]
            if len(recent) == LONG and min(recent) > SURE:
                warnings.append(
                    f"The discriminator's AUC has been above {SURE:g} for {LONG} epochs ({head}): it may tell cohorts "
                    "apart rather than tumours, or know its patients by heart. Look at previews/; lower rate_d."
                )
        recent = curves["D's AUC, patch"][-LONG:]
        if len(recent) == LONG and max(recent) < CHANCE:
            warnings.append(
                f"The discriminator's AUC has been below {CHANCE:g} for {LONG} epochs: to it, made tumours look like "
                "real ones already, or it does not learn. Look at previews/; raise rate_d."
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
        self.held_out = held_out_of(donors, config.held_out, np.random.default_rng([self.seed, HELD_OUT]))
        z, y, x = manager.spacing
        reach = config.reach(manager.spacing)
        levels = Levels.of(patch_for(config, data.plan, donors), manager.spacing, config.levels)
        features = features_of_levels(data.plan, config.features, config.levels)
        self.design = Design(
            data.channels, data.roles.tumour, features, levels,
            config.residual, reach, config.rim_mm, (z, y, x), IntensityRange.of(data.real),
        )  # fmt: skip
        organ_known = data.plan.masked or bool(data.roles.organ)  # in real cases, too
        centred = config.centred if organ_known else 1.0
        sites = MixedSites(
            data.sample_site, ((data.sample_free_side, config.free_sides),),
            frozenset(donors[index].identifier for index in self.held_out),
        )  # fmt: skip
        clip = distance_clip(reach, manager.spacing)
        pieces = Pieces(sites, stage1, donors, levels.patch, clip, centred < 1, self.seed)
        self.patches = Patches(
            pieces,
            Pool(pieces.fake, config.pool, config.renewed, data.pool and data.pool / "sites"),
            Pool(pieces.real, len(donors), 0, data.pool and data.pool / "real"),
            [index for index in range(len(donors)) if index not in self.held_out], centred,
            config.batch, range(self.team.rank, config.batch, self.team.size), config.iterations,
        )  # fmt: skip
        encoder = Encoder.of(data.baseline).to(device)
        self.training = MonitoredGAN(config, self.design, encoder, data.plan.z_scored, self.seed, device, self.team)
        self.training.sites = self.patches.fakes
        similar = [name for name, weight in (("perceptual", config.lambda_d), ("texture", config.lambda_e)) if weight]
        plots = {**PLOTS, "similarity": similar} if similar else PLOTS
        schedule = Schedule(config.epochs, config.iterations, config.preview_every, plots)
        self.loop = Loop(self.training, schedule, folder, self.team)

    def run(self) -> None:
        """Train, or resume the training, and write generator.safetensors."""
        self.training.shown = [
            as_tensors(self._new_fake(PREVIEW, index)) for index in range(SHOWN if self.team.is_main else 0)
        ]
        self.training.learn_scale(self._real_patches(SCALE, self.patches.learnt))
        self.training.hold_out(self._fake_patches(HELD_OUT), self._real_patches(HELD_OUT, self.held_out))
        self.loop.logger.lines(self._described())
        self.loop.run(self.patches, -(-get_allowed_n_proc_DA() // self.team.local))
        if self.team.is_main:
            write_generator(self.folder / WEIGHTS, self.design, self.training.weights())

    def _real_patches(self, stream: int, numbers: Sequence[int]) -> Iterator[Batch]:
        """Yield a few real patches of these donors in turn, in batches as large as in training."""
        drawn = [numbers[index % len(numbers)] for index in range(min(MOST_PATCHES[stream], DRAWS * len(numbers)))]
        several = (
            self.patches.real(np.random.default_rng([self.seed, stream, index]), [number])
            for index, number in enumerate(drawn)
        )
        return self._batches(several)

    def _fake_patches(self, stream: int) -> Iterator[Batch]:
        """Yield patches of sites of their own, in batches as large as in training."""
        return self._batches(self._new_fake(stream, index) for index in count())

    def _batches(self, patches: Iterable[Mapping[str, np.ndarray]]) -> Iterator[Batch]:
        """Yield batches of patches; the last one is as large as what is left."""
        stream = iter(patches)
        while several := list(islice(stream, self.config.batch)):
            stacked = {name: np.stack([patch[name] for patch in several]) for name in several[0]}
            yield as_tensors({**stacked, "place": np.arange(len(several))})

    def _new_fake(self, stream: int, index: int) -> dict[str, np.ndarray]:
        """Return a patch of a site of its own."""
        rng = np.random.default_rng([self.seed, stream, index])
        around = replace(self.patches, centred=1.0)
        return around.fake(around.pieces.new_fake(rng), rng)

    def _pools(self) -> list[str]:
        return [*self.patches.fakes.described("sites with coarse tumours"), *self.patches.reals.described("real cases")]

    def _described(self) -> list[str]:
        levels, wanted = self.design.levels, self.config.levels
        patch = " x ".join(map(str, levels.patch))
        fewer = f", not {wanted}: each halves it, and four voxels are kept" if levels.number < wanted else ""
        networks = (self.training.generator, self.training.discriminator)
        sizes = [millions_of_weights(network) for network in networks]
        return [
            f"patches of {patch} voxels, {levels.number} levels{fewer}",
            f"generator {sizes[0]:.1f} million weights, discriminator {sizes[1]:.1f} million",
            f"real tumours: {len(self.patches.learnt)} to learn from, {len(self.held_out)} held out",
            f"{self.loop.schedule.steps} steps an epoch, {self.config.batch} patches each"
            + (f", shared by {self.team.size} processes" if self.team.size > 1 else ""),
            *(self._pools() if self.team.is_main else ()),
        ]
