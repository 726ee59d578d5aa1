"""Training of the autoencoder. In: scans of the fold. Out: autoencoder.safetensors, logs, previews."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from nnunetv2.utilities.default_n_proc_DA import get_allowed_n_proc_DA
from torch import Tensor
from torch.nn.functional import relu

from nnunetv2_tf.io.panels import Panel, titled, write_panels
from nnunetv2_tf.methods.autoencoder.config import AutoencoderConfig
from nnunetv2_tf.methods.autoencoder.patches import ScanPatches, Scans
from nnunetv2_tf.methods.autoencoder.saved import WEIGHTS, AutoencoderDesign, ScanAutoencoder
from nnunetv2_tf.methods.base import FitData
from nnunetv2_tf.methods.optimised import Optimised
from nnunetv2_tf.networks.autoencoder import strides_of
from nnunetv2_tf.networks.levels import Levels, check_patch, features_of_levels, largest_patch
from nnunetv2_tf.networks.patch_gan import PatchGAN
from nnunetv2_tf.networks.quantiser import commitment, used
from nnunetv2_tf.networks.saved import millions_of_weights, weights_of, write_network
from nnunetv2_tf.training.intensity_range import IntensityRange
from nnunetv2_tf.training.loading import Batch, as_tensors
from nnunetv2_tf.training.loop import Curves, Loop, Schedule, stalled
from nnunetv2_tf.training.masked import mean_where, weighted_mean
from nnunetv2_tf.training.memory import bytes_to_train, memory_lines
from nnunetv2_tf.training.pool import Pool
from nnunetv2_tf.training.precision import Acceleration, to_device
from nnunetv2_tf.training.real_patches import affines_of, moved
from nnunetv2_tf.working_space.preprocess import Plan

AUGMENT, RESTART, PREVIEW = 4, 5, 11  # streams of random numbers
WIDTH = 32  # features of the discriminator's first stage
SHOWN = 6  # patches in a preview
STUCK, LATE = 0.9, 10  # L1 has fallen to less than this share of the first epoch's after so many epochs, or it is told
PSNR_RANGE = 2.0  # from -1 to 1


def check(config: AutoencoderConfig, plan: Plan) -> None:
    """Raise when it cannot be trained with these settings and plans."""
    check_patch(plan, config.largest_patch, 2, "the autoencoder")


def levels_for(config: AutoencoderConfig, plan: Plan) -> Levels:
    """Return the levels: as many as asked for, or as leave latents fine enough."""
    finest, halvings = min(plan.manager.spacing), config.halvings
    if halvings is None:
        halvings = max(1, int(np.floor(np.log2(config.latent_mm / finest) + 1e-6)))
    return Levels.of(largest_patch(plan, config.largest_patch), plan.manager.spacing, halvings + 1)


class AutoencoderTrainer(Optimised):
    """The autoencoder, and a discriminator where there is one, with their optimisers."""

    shown: Sequence[Batch] = ()  # patches, the same in all previews

    def __init__(
        self, config: AutoencoderConfig, design: AutoencoderDesign, spacing: tuple[float, float, float], seed: int,
        device: torch.device, acceleration: Acceleration | None = None,
    ) -> None:  # fmt: skip
        self.config, self.design, self.spacing, self.seed, self.device = config, design, spacing, seed, device
        self.acceleration = acceleration or Acceleration.of(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            whole = ScanAutoencoder(design).to(device)
            self.networks: dict[str, torch.nn.Module] = {"autoencoder": whole}
            self.autoencoder, self.judge = whole.network, None
            if config.lambda_adversarial:
                self.judge = PatchGAN(len(design.channels), WIDTH, design.levels.patch).to(device)
                self.networks["discriminator"] = self.judge
        self.optimizers = {
            name: torch.optim.Adam(
                [weight for weight in network.parameters() if weight.requires_grad], config.rate, config.betas
            )
            for name, network in self.networks.items()
        }

    def begin(self, epoch: int) -> Mapping[str, float]:
        """Set the learning rate, which falls to 0 by a cosine; measure what is lost of tumours so far."""
        rate = float(self.config.rate * (1 + np.cos(np.pi * epoch / self.config.epochs)) / 2)
        self.set_rate(rate)
        return {"rate": rate, "PSNR in tumours": self.psnr_in_tumours()}

    def psnr_in_tumours(self) -> float:
        """Return the peak signal-to-noise ratio inside tumours, dB, the mean over the patches that previews show."""
        shown = (one for one in self._shown_again() if bool((one[-1] > 0).any()))
        found = [float(psnr(again, x, tumour > 0)) for x, again, tumour in shown]
        return float(np.mean(found)) if found else 0.0

    def _shown_again(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield the patches that are shown, what is made of their latents, and their tumour maps."""
        for batch in self.shown:
            x, tumour, _ = self._given(batch, None)
            with torch.no_grad():
                again, _, _ = self.autoencoder(x)
            yield x, again, tumour

    def step(self, batch: Batch, epoch: int, step: int) -> Mapping[str, Tensor]:
        """Do a step of the autoencoder, and then one of the discriminator; return the curves."""
        with self.acceleration.cudnn_benchmark():
            return self._step(batch, epoch, step)

    def _step(self, batch: Batch, epoch: int, step: int) -> Mapping[str, Tensor]:
        config = self.config
        x, tumour, body = self._given(batch, [self.seed, AUGMENT, epoch, step] if config.augmented else None)
        with self.acceleration.autocast(self.device):
            again, z, rounded = self.autoencoder(x)
        distance = (again - x).abs().mean(dim=1)
        weight = body + config.lambda_air * ~body
        loss = weighted_mean(distance, weight) + config.lambda_tumour * mean_where(distance, tumour > 0)
        curves = {"L1": mean_where(distance, body)}
        if rounded is None:
            loss = loss + config.lambda_latent * z.square().mean(dim=(1, 2, 3, 4))
        else:
            loss = loss + config.lambda_latent * commitment(z, rounded[0])
            curves["codebook used"] = used(rounded[1], self.design.codebook)
        adversarial = self.judge is not None and epoch >= config.adversarial_from
        if adversarial:
            loss = loss + self._fooling(x, again)
        self.descend("autoencoder", loss.mean())
        if self.autoencoder.quantiser is not None and rounded is not None:
            seed = int(np.random.default_rng([self.seed, RESTART, epoch, step]).integers(2**62))
            self.autoencoder.quantiser.follow(z.detach(), rounded[1], torch.Generator().manual_seed(seed))
        if self.judge is not None:
            curves["D"] = self._judging(x, again.detach()) if adversarial else x.new_zeros(())
        return {name: value.detach().mean() for name, value in curves.items()}

    def _given(self, batch: Batch, stream: Sequence[int] | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return a batch's images in [-1, 1], tumour maps and bodies on the device, augmented or not."""
        image, tumour, body = (to_device(batch[name], self.device) for name in ("image", "tumour", "body"))
        if stream is not None:
            affines = affines_of(batch, stream, self.spacing)
            (image,) = moved((image,), affines, self.spacing)
            tumour, body = moved((tumour, body), affines, self.spacing, nearest=True)
        return self.design.domain.normalise(image, body), tumour, body

    def _fooling(self, x: Tensor, again: Tensor) -> Tensor:
        """Return (B,): the adversarial loss, and the distance between the discriminator's features."""
        assert self.judge is not None
        self.judge.requires_grad_(False)
        with self.acceleration.autocast(self.device):
            *of_made, logits = self.judge.stages(x[:, :0], again)
            *of_real, _ = self.judge.stages(x[:, :0], x)
        apart = torch.stack(
            [(made - real).abs().mean(dim=(1, 2, 3, 4)) for made, real in zip(of_made, of_real, strict=True)]
        )
        return -self.config.lambda_adversarial * logits.mean(dim=(1, 2, 3, 4)) + (
            self.config.lambda_features * apart.mean(dim=0)
        )

    def _judging(self, x: Tensor, again: Tensor) -> Tensor:
        """Do a step of the discriminator with a hinge loss; return it."""
        assert self.judge is not None
        self.judge.requires_grad_(True)
        with self.acceleration.autocast(self.device):
            of_real, of_made = (self.judge(x[:, :0], image) for image in (x, again))
        loss = (relu(1 - of_real).mean() + relu(1 + of_made).mean()) / 2
        self.descend("discriminator", loss)
        return loss

    def preview(self, path: Path) -> None:
        """Paint a row per patch: the image, what is made of its latents, and the difference."""
        rows = []
        for x, again, tumour in self._shown_again():
            cut = int((tumour[0] > 0).sum(dim=(1, 2)).argmax())
            before, after = (image[0, 0, cut].cpu().numpy() for image in (x, again))
            spans = ((-1.0, 1.0), (-1.0, 1.0), (-0.3, 0.3))
            rows.append([Panel(one, span) for one, span in zip((before, after, after - before), spans, strict=True)])
        write_panels(titled(rows, ("scan", "made of its latents", "difference")), path)

    def remarks(self, curves: Curves) -> list[str]:
        """Warn when images do not come nearer to what they were."""
        if stalled(curves["L1"], LATE, STUCK):
            return ["The L1 distance to scans has hardly fallen. Look at previews/; raise rate."]
        return []


class AutoencoderFit:
    """One training of the autoencoder."""

    def __init__(self, config: AutoencoderConfig, data: FitData, folder: Path, device: torch.device) -> None:
        self.config, self.folder = config, folder
        seed = int(data.rng.integers(2**32))
        z, y, x = data.plan.manager.spacing
        levels = levels_for(config, data.plan)
        features = features_of_levels(data.plan, config.features, levels.number)
        domain = IntensityRange.of(data.real)
        self.design = AutoencoderDesign(
            data.channels, features[: levels.number], config.latent, levels, config.codebook, domain
        )  # fmt: skip
        cases = [*data.real, *data.healthy]
        pool = Pool(Scans(cases), len(cases), 0, data.pool and data.pool / "scans")
        self.patches = ScanPatches(
            pool, len(data.real), config.real, config.centred, levels.patch, config.batch, seed
        )  # fmt: skip
        self.training = AutoencoderTrainer(config, self.design, (z, y, x), seed, device)
        plots = {"L1": ("L1",), "PSNR in tumours": ("PSNR in tumours",), "learning rate": ("rate",)}
        if config.codebook:
            plots["share of the codebook in use"] = ("codebook used",)
        if config.lambda_adversarial:
            plots["discriminator"] = ("D",)
        schedule = Schedule(config.epochs, config.iterations, config.preview_every, plots)
        self.loop = Loop(self.training, schedule, folder, data.team)

    def run(self) -> None:
        """Train, or resume the training, and write autoencoder.safetensors."""
        self.training.shown = list(self._shown())
        self.loop.logger.lines(self._described())
        self.loop.run(self.patches, get_allowed_n_proc_DA())
        write_network(self.folder / WEIGHTS, self.design, weights_of(self.training.networks["autoencoder"]))

    def _shown(self) -> Iterator[Batch]:
        for index in range(SHOWN):
            patch = self.patches.around_a_tumour(np.random.default_rng([self.training.seed, PREVIEW, index]))
            yield as_tensors({name: array[None] for name, array in patch.items()})

    def _described(self) -> list[str]:
        levels, training = self.design.levels, self.training
        patches = torch.empty(self.config.batch, len(self.design.channels), *levels.patch)
        needed = bytes_to_train(training.autoencoder, patches)
        if training.judge is not None:
            both = torch.cat([patches, patches])  # real and made
            needed += bytes_to_train(training.judge, both[:, :0], both)
        sizes = ", ".join(f"{name} {millions_of_weights(one):.1f} million" for name, one in training.networks.items())
        return [
            f"patches of {' x '.join(map(str, levels.patch))} voxels; a latent stands for "
            f"{' x '.join(map(str, strides_of(levels)))} voxels and has {self.design.latent} channels",
            f"weights: {sizes}",
            *memory_lines(needed, training.device),
            f"{self.config.iterations} steps an epoch, {self.config.batch} patches each",
            *self.patches.scans.described("scans"),
        ]


def psnr(made: Tensor, real: Tensor, where: Tensor) -> Tensor:
    """Return (), the peak signal-to-noise ratio in dB of images in [-1, 1] where a mask (B, Z, Y, X) is True."""
    error = (made - real).square().mean(dim=1)[where].mean()
    return 10 * torch.log10(PSNR_RANGE**2 / error.clamp_min(1e-12))
