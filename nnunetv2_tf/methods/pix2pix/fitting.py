"""Training of Pix2Pix. In: real cases of the fold. Out: generator.safetensors, logs, previews."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from nnunetv2.utilities.default_n_proc_DA import get_allowed_n_proc_DA
from torch import Tensor

from nnunetv2_tf.geometry.boxes import fullest_slice
from nnunetv2_tf.io.panels import outlined_row, titled, write_panels
from nnunetv2_tf.methods.base import FitData
from nnunetv2_tf.methods.optimised import Optimised, falling_rate
from nnunetv2_tf.methods.pix2pix import losses
from nnunetv2_tf.methods.pix2pix.config import Pix2PixConfig
from nnunetv2_tf.methods.pix2pix.networks import BESIDE, WEIGHTS, MapToImage, Pix2PixDesign, condition_of, inside_of
from nnunetv2_tf.networks.levels import Levels, check_patch, features_of_levels, largest_patch
from nnunetv2_tf.networks.patch_gan import PatchGAN
from nnunetv2_tf.networks.saved import millions_of_weights, weights_of, write_network
from nnunetv2_tf.training.intensity_range import IntensityRange
from nnunetv2_tf.training.loading import Batch
from nnunetv2_tf.training.loop import Curves, Loop, Schedule, stalled
from nnunetv2_tf.training.pool import Pool
from nnunetv2_tf.training.precision import Acceleration
from nnunetv2_tf.training.real_batches import RealBatches, RealPieces
from nnunetv2_tf.training.real_patches import Real
from nnunetv2_tf.working_space.preprocess import Plan

AUGMENT, PREVIEW = 4, 11  # streams of random numbers
SHOWN = 6  # patches in a preview
STUCK, LATE = 0.95, 10  # L1 has fallen to less than this share of the first epoch's after so many epochs, or it is told
PLOTS = {"adversarial loss": ("D", "G"), "L1": ("L1",), "learning rate": ("rate",)}


def check(config: Pix2PixConfig, plan: Plan) -> None:
    """Raise when it cannot be trained with these settings and plans."""
    check_patch(plan, config.largest_patch, config.levels, "Pix2Pix")


class Pix2PixTrainer(Optimised):
    """Generator G and discriminator D with their optimisers."""

    shown: Sequence[Batch] = ()  # patches of training cases, the same in all previews

    def __init__(
        self, config: Pix2PixConfig, design: Pix2PixDesign, spacing: tuple[float, float, float], seed: int,
        device: torch.device, acceleration: Acceleration | None = None,
    ) -> None:  # fmt: skip
        self.config, self.design, self.spacing, self.seed, self.device = config, design, spacing, seed, device
        self.acceleration = acceleration or Acceleration.of(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            channels = len(design.classes) + BESIDE + len(design.channels)
            self.generator = MapToImage(design).to(device)
            self.discriminator = PatchGAN(channels, config.discriminator_width, design.levels.patch).to(device)
        compiled = self.acceleration.compiled_for_training
        self.generate, self.discriminate = compiled(self.generator), compiled(self.discriminator)
        self.networks = {"G": self.generator, "D": self.discriminator}
        self.optimizers = {
            name: torch.optim.Adam(network.parameters(), config.rate, config.betas, fused=device.type == "cuda")
            for name, network in self.networks.items()
        }

    def begin(self, epoch: int) -> Mapping[str, float]:
        """Set the learning rate: the same over the first half of the epochs, then falling evenly to 0."""
        rate = falling_rate(self.config.rate, epoch, self.config.epochs)
        self.set_rate(rate)
        return {"rate": rate}

    def step(self, batch: Batch, epoch: int, step: int) -> Mapping[str, Tensor]:
        """Do a step of D and then one of G; return the curves."""
        with self.acceleration.cudnn_benchmark():
            return self._step(batch, [self.seed, AUGMENT, epoch, step])

    def _step(self, batch: Batch, seed: Sequence[int]) -> Mapping[str, Tensor]:
        real = Real.of(batch, self.device, self.spacing, seed if self.config.augmented else None)
        condition = condition_of(real.tumour, real.organ, self.design.classes)
        y = self.design.domain.normalise(real.image, inside_of(condition))
        with self.acceleration.autocast(self.device):
            x = self.generate(condition)
        self.discriminator.requires_grad_(True)
        with self.acceleration.autocast(self.device):
            of_real, of_made = self.discriminate(condition, y), self.discriminate(condition, x.detach())
        d = losses.adversarial_d(of_real, of_made).mean()
        self.descend("D", d)
        self.discriminator.requires_grad_(False)
        with self.acceleration.autocast(self.device):
            of_made = self.discriminate(condition, x)
        g = losses.adversarial_g(of_made).mean()
        where = real.organ if self.config.l1_in_organ else torch.ones_like(real.organ)
        distance = losses.l1(x, y, where).mean()
        self.descend("G", g + self.config.lambda_l1 * distance)
        return {"D": d.detach(), "G": g.detach(), "L1": distance.detach()}

    def preview(self, path: Path) -> None:
        """Paint a row per patch: the real image, what is made of its map, and the same with the tumour's outline."""
        rows = []
        for batch in self.shown:
            real = Real.of(batch, self.device, self.spacing, None)
            condition = condition_of(real.tumour, real.organ, self.design.classes)
            with torch.no_grad():
                x = self.generator.eval()(condition)
            self.generator.train()
            y = self.design.domain.normalise(real.image, inside_of(condition))
            tumour = real.tumour[0].cpu().numpy()
            cut = fullest_slice(tumour > 0)
            rows.append(outlined_row([image[0, 0, cut].cpu().numpy() for image in (y, x)], (-1.0, 1.0), tumour[cut]))
        write_panels(titled(rows, ("real", "made of its map")), path)

    def remarks(self, curves: Curves) -> list[str]:
        """Warn when images do not come nearer to real ones."""
        if stalled(curves["L1"], LATE, STUCK):
            return ["The L1 distance to real images has hardly fallen. Look at previews/; raise rate, or lambda_l1."]
        return []


class Pix2PixFit:
    """One training of Pix2Pix."""

    def __init__(self, config: Pix2PixConfig, data: FitData, folder: Path, device: torch.device) -> None:
        self.config, self.folder = config, folder
        seed = int(data.rng.integers(2**32))
        manager, cases = data.plan.manager, [case for case in data.real if case.has_tumour()]
        z, y, x = manager.spacing
        levels = Levels.of(largest_patch(data.plan, config.largest_patch), manager.spacing, config.levels)
        features = features_of_levels(data.plan, config.features, config.levels)
        domain = IntensityRange.of(data.real)
        self.design = Pix2PixDesign(data.channels, data.roles.tumour, features, levels, domain)
        pieces = RealPieces(cases, levels.patch, config.centred < 1)
        pool = Pool(pieces, len(cases), 0, data.pool and data.pool / "real")
        self.batches = RealBatches(pool, levels.patch, config.centred, config.batch, seed)
        self.training = Pix2PixTrainer(config, self.design, (z, y, x), seed, device)
        schedule = Schedule(config.epochs, config.iterations, config.preview_every, PLOTS)
        self.loop = Loop(self.training, schedule, folder, data.team)

    def run(self) -> None:
        """Train, or resume the training, and write generator.safetensors."""
        self.training.shown = self.batches.examples(SHOWN, [self.training.seed, PREVIEW])
        self.loop.logger.lines(self._described())
        self.loop.run(self.batches, get_allowed_n_proc_DA())
        write_network(self.folder / WEIGHTS, self.design, weights_of(self.training.generator))

    def _described(self) -> list[str]:
        levels = self.design.levels
        networks = (self.training.generator, self.training.discriminator)
        sizes = [millions_of_weights(network) for network in networks]
        return [
            f"patches of {' x '.join(map(str, levels.patch))} voxels, {levels.number} levels",
            f"generator {sizes[0]:.1f} million weights, discriminator {sizes[1]:.1f} million",
            f"{self.config.iterations} steps an epoch, {self.config.batch} patches each",
            *self.batches.cases.described("real cases"),
        ]
