"""Training of the diffusion model. In: the fold's real cases, a fitted autoencoder. Out: denoiser.safetensors, logs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from nnunetv2.utilities.default_n_proc_DA import get_allowed_n_proc_DA
from torch import Tensor
from torch.nn.functional import max_pool3d

from nnunetv2_tf.geometry.boxes import fullest_slice
from nnunetv2_tf.io.panels import outlined_row, titled, write_panels
from nnunetv2_tf.methods.autoencoder.saved import ScanAutoencoder
from nnunetv2_tf.methods.base import FitData
from nnunetv2_tf.methods.difftumor.config import DiffTumorConfig
from nnunetv2_tf.methods.difftumor.latents import (
    WEIGHTS,
    DiffTumorDesign,
    LatentDiffusion,
    LatentRange,
    known_beside,
    latent_levels,
    shares_on_latents,
)
from nnunetv2_tf.methods.optimised import Optimised, falling_rate
from nnunetv2_tf.networks.autoencoder import strides_of
from nnunetv2_tf.networks.levels import check_patch, features_of_levels, largest_patch
from nnunetv2_tf.networks.saved import load_weights, millions_of_weights, weights_of, write_network
from nnunetv2_tf.training.loading import Batch, as_tensors
from nnunetv2_tf.training.loop import Curves, Loop, Schedule, stalled
from nnunetv2_tf.training.masked import mean_where, weighted_mean
from nnunetv2_tf.training.memory import bytes_to_train, memory_lines
from nnunetv2_tf.training.moving_average import MovingAverage
from nnunetv2_tf.training.pool import Pool
from nnunetv2_tf.training.precision import Acceleration
from nnunetv2_tf.training.real_batches import RealBatches, RealPieces
from nnunetv2_tf.training.real_patches import Real, places_of
from nnunetv2_tf.working_space.preprocess import Plan

AUGMENT, NOISE, MEASURE, PREVIEW = 4, 6, 7, 11  # streams of random numbers
MEASURED = 40  # batches whose latents are measured
SHOWN = 6  # patches in a preview
SMALLEST_SCALE = 1e-3  # of latents
STUCK, LATE = 0.95, 20  # the loss has fallen to less than this share of the first epoch's after so many epochs, or else
PLOTS = {"loss": ("loss", "in tumours"), "learning rate": ("rate",)}


def check(config: DiffTumorConfig, plan: Plan) -> None:
    """Raise when it cannot be trained with these settings and plans."""
    check_patch(plan, config.largest_patch, 2, "DiffTumor")


class DiffTumorTrainer(Optimised):
    """The diffusion model with its optimiser, and the frozen autoencoder."""

    shown: Sequence[Batch] = ()  # patches of training cases, the same in all previews

    def __init__(
        self, config: DiffTumorConfig, design: DiffTumorDesign, autoencoder: ScanAutoencoder,
        spacing: tuple[float, float, float], seed: int, device: torch.device,
        acceleration: Acceleration | None = None,
    ) -> None:  # fmt: skip
        self.config, self.design, self.spacing, self.seed, self.device = config, design, spacing, seed, device
        self.autoencoder, self.acceleration = autoencoder, acceleration or Acceleration.of(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.diffusion = LatentDiffusion(design).to(device)
        adam = torch.optim.Adam(self.diffusion.parameters(), config.rate, config.betas, fused=device.type == "cuda")
        self.networks, self.optimizers = {"diffusion": self.diffusion}, {"diffusion": adam}
        self.average = MovingAverage(weights_of(self.diffusion), config.average)
        self.steps_done = 0

    def begin(self, epoch: int) -> Mapping[str, float]:
        """Set the learning rate: the same over the first half of the epochs, then falling evenly to 0."""
        rate = falling_rate(self.config.rate, epoch, self.config.epochs)
        self.set_rate(rate)
        return {"rate": rate}

    def step(self, batch: Batch, epoch: int, step: int) -> Mapping[str, Tensor]:
        """Do a step; return the curves."""
        with self.acceleration.cudnn_benchmark():
            return self._step(batch, [epoch, step])

    def _step(self, batch: Batch, number: Sequence[int]) -> Mapping[str, Tensor]:
        config = self.config
        stream = [self.seed, AUGMENT, *number] if config.augmented else None
        real = Real.of(batch, self.device, self.spacing, stream)
        z0, known = self.latents(real)
        t, e = self._drawn(places_of(batch), number, z0)
        schedule = self.diffusion.schedule
        with self.acceleration.autocast(self.device):
            predicted = self.diffusion(schedule.noised(z0, e, t), t, known)
        difference = predicted - schedule.target(self.design.target, z0, e, t)
        each = (difference.square() if config.squared else difference.abs()).mean(dim=1)
        near = self._near(real.tumour)
        loss = weighted_mean(each, near + config.lambda_outside * ~near).mean()
        inside = mean_where(each, near)
        self.descend("diffusion", loss, config.clip)
        self.steps_done += 1
        self.average.follow(weights_of(self.diffusion), self.steps_done)
        return {"loss": loss.detach(), "in tumours": inside.detach().mean()}

    @torch.no_grad()
    def latents(self, real: Real) -> tuple[Tensor, Tensor]:
        """Return normalised latents of real patches, and what is known beside them."""
        z0 = self.design.range.normalise(self.autoencoder.latents(real.image, real.body))
        return z0, known_beside(self.autoencoder, self.design, real.image, real.body, real.tumour)

    def _near(self, tumour: Tensor) -> Tensor:
        """Return (B, z, y, x) bool: the latents that a tumour, or a neighbour of it, is in."""
        shares = shares_on_latents(self.autoencoder, tumour, self.design.classes).sum(dim=1, keepdim=True)
        return max_pool3d(shares, 3, 1, 1)[:, 0] > 0

    def _drawn(self, places: Sequence[int], number: Sequence[int], like: Tensor) -> tuple[Tensor, Tensor]:
        """Draw a time and noise for each patch, which depend on its place in the batch and the step only."""
        times, noises = [], []
        for place in places:
            rng = np.random.default_rng([self.seed, NOISE, *number, place])
            times.append(int(rng.integers(1, self.design.times + 1)))
            noises.append(rng.standard_normal(tuple(like.shape[1:]), dtype=np.float32))
        return torch.tensor(times, device=like.device), torch.from_numpy(np.stack(noises)).to(like.device)

    def weights(self) -> Mapping[str, Tensor]:
        """Return the weights to use: their moving average, where there is one."""
        return self.average.weights if self.config.average else weights_of(self.diffusion)

    def state(self) -> dict[str, Any]:
        """Return the weights, their average, and the state of the optimiser."""
        return {**super().state(), "average": self.average.weights, "steps": self.steps_done}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Load what `state()` returned."""
        super().restore(state)
        self.average.restore(state["average"])
        self.steps_done = state["steps"]

    def preview(self, path: Path) -> None:
        """Paint a row per patch: the real tumour, as its latents show it, and one drawn in its place."""
        diffusion, config = LatentDiffusion(self.design).to(self.device).eval(), self.config
        load_weights(diffusion, self.weights())
        rows, domain = [], self.autoencoder.design.domain
        for index, batch in enumerate(self.shown):
            real = Real.of(batch, self.device, self.spacing, None)
            z0, known = self.latents(real)
            rng = np.random.default_rng([self.seed, PREVIEW, index])
            noise = [
                torch.from_numpy(rng.standard_normal(tuple(z0.shape), dtype=np.float32)).to(self.device)
                for _ in range(config.steps)
            ]
            with torch.no_grad():
                drawn = diffusion.sample(known, noise, config.sampler, config.steps, config.limit)
                shown = [self.autoencoder.image(self.design.range.denormalise(z)) for z in (z0, drawn)]
            tumour = real.tumour[0].cpu().numpy()
            cut = fullest_slice(tumour > 0)
            images = [domain.normalise(image, real.body)[0, 0, cut].cpu().numpy() for image in (real.image, *shown)]
            rows.append(outlined_row(images, (-1.0, 1.0), tumour[cut]))
        write_panels(titled(rows, ("real", "of its latents", "drawn")), path)

    def remarks(self, curves: Curves) -> list[str]:
        """Warn when nothing is learnt."""
        if stalled(curves["in tumours"], LATE, STUCK):
            return ["The loss in tumours has hardly fallen. Look at previews/; raise rate."]
        return []


class DiffTumorFit:
    """One training of DiffTumor's diffusion model."""

    def __init__(
        self, config: DiffTumorConfig, data: FitData, folder: Path, device: torch.device, autoencoder: ScanAutoencoder
    ) -> None:  # fmt: skip
        self.config, self.folder = config, folder
        seed = int(data.rng.integers(2**32))
        cases = [case for case in data.real if case.has_tumour()]
        z, y, x = data.plan.manager.spacing
        levels = latent_levels(autoencoder, largest_patch(data.plan, config.largest_patch), (z, y, x), config.levels)
        size = (np.array(levels.patch) * strides_of(autoencoder.design.levels)).tolist()
        features = features_of_levels(data.plan, config.features, levels.number)[: levels.number]
        pool = Pool(RealPieces(cases, size, whole=True), len(cases), 0, data.pool and data.pool / "real")
        self.batches = RealBatches(pool, size, 1.0, config.batch, seed, every_voxel=True)
        scale = latent_range(autoencoder, self.batches, device, config.scaled)
        self.design = DiffTumorDesign(
            data.roles.tumour, autoencoder.design.latent, features, levels, config.times, config.target, scale
        )  # fmt: skip
        self.training = DiffTumorTrainer(config, self.design, autoencoder, (z, y, x), seed, device)
        schedule = Schedule(config.epochs, config.iterations, config.preview_every, PLOTS)
        self.loop = Loop(self.training, schedule, folder, data.team)

    def run(self) -> None:
        """Train, or resume the training, and write denoiser.safetensors."""
        self.training.shown = self.batches.examples(SHOWN, [self.training.seed, PREVIEW])
        self.loop.logger.lines(self._described())
        self.loop.run(self.batches, get_allowed_n_proc_DA())
        write_network(self.folder / WEIGHTS, self.design, self.training.weights())

    def _described(self) -> list[str]:
        size, levels, device = self.batches.size, self.design.levels, self.training.device
        noisy = torch.empty(self.config.batch, self.design.latent, *levels.patch)
        known = torch.empty(self.config.batch, self.design.latent + len(self.design.classes), *levels.patch)
        needed = bytes_to_train(self.training.diffusion, noisy, torch.empty(self.config.batch), known)
        return [
            f"patches of {' x '.join(map(str, size))} voxels, {' x '.join(map(str, levels.patch))} latents, "
            f"{levels.number} levels",
            f"denoiser {millions_of_weights(self.training.diffusion):.1f} million weights",
            *memory_lines(needed, device),
            f"{self.config.iterations} steps an epoch, {self.config.batch} patches each",
            *self.batches.cases.described("real cases"),
        ]


@torch.no_grad()
def latent_range(
    autoencoder: ScanAutoencoder, batches: RealBatches, device: torch.device, scaled: Literal["deviation", "range"]
) -> LatentRange:  # fmt: skip
    """Measure latents of patches around tumours.

    Args:
        autoencoder: that they are of
        batches: of such patches
        device: where to work
        scaled: `deviation`: the mean becomes 0 and the standard deviation 1; `range`: the extremes become -1 and 1
    """
    found = []
    for number in range(MEASURED):
        batch = as_tensors(batches.drawn([batches.seed, MEASURE, number]))
        image, body = (batch[name].to(device) for name in ("real_image", "real_body"))
        found.append(autoencoder.latents(image, body).movedim(1, 0).flatten(1).cpu())
    every = torch.cat(found, dim=1)
    low, high = every.amin(dim=1), every.amax(dim=1)
    middle, scale = (
        (every.mean(dim=1), every.std(dim=1)) if scaled == "deviation" else ((low + high) / 2, (high - low) / 2)
    )
    return LatentRange(tuple(middle.tolist()), tuple(scale.clamp_min(SMALLEST_SCALE).tolist()))
