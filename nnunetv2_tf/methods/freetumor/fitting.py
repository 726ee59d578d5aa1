"""Training of FreeTumor. In: real cases, sites in hosts, the baseline. Out: generator.safetensors, logs, previews."""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from nnunetv2.utilities.default_n_proc_DA import get_allowed_n_proc_DA
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunetv2_tf.baseline.checkpoint import Baseline
from nnunetv2_tf.baseline.class_probabilities import ClassProbabilities
from nnunetv2_tf.baseline.segmentor import Segmentor
from nnunetv2_tf.dataset.label_roles import LabelRoles
from nnunetv2_tf.geometry.boxes import fullest_slice
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.panels import outlined_row, titled, write_panels
from nnunetv2_tf.methods.base import FitData
from nnunetv2_tf.methods.freetumor.adversaries import Adversaries
from nnunetv2_tf.methods.freetumor.config import FreeTumorConfig
from nnunetv2_tf.methods.freetumor.networks import (
    WEIGHTS,
    Content,
    Discriminator,
    FreeTumorDesign,
    frozen,
    single_output,
)
from nnunetv2_tf.methods.freetumor.patches import Host, Patches, Pieces
from nnunetv2_tf.methods.mixed_sites import MixedSites
from nnunetv2_tf.networks.levels import Levels, check_patch, features_of_levels, largest_patch
from nnunetv2_tf.networks.saved import load_weights, millions_of_weights, write_network
from nnunetv2_tf.training.intensity_range import IntensityRange
from nnunetv2_tf.training.loading import Batch, as_tensors
from nnunetv2_tf.training.loop import Curves, Loop, Schedule
from nnunetv2_tf.training.pool import Pool
from nnunetv2_tf.working_space.preprocess import Plan

PREVIEW, MEASURE = 11, 12  # streams of random numbers
SHOWN, MEASURED = 8, 40  # patches in a preview, and real ones on which S is measured
UNSEEN, LATE = 0.05, 5  # so little of its tumours S takes for tumours after so many epochs, or it is told
SURE, LONG = 0.98, 20  # D always wins: the AUC of its votes, for so many epochs
PLOTS = {
    "loss of D": ("D",),
    "losses of G": ("G adv", "G seg"),
    "how sure they are of synthetic tumours": ("p of S", "p of D"),
    "AUC of D's votes": ("AUC of D's votes",),
}


def check(config: FreeTumorConfig, plan: Plan) -> None:
    """Raise when it cannot be trained with these settings, plans and labels."""
    check_patch(plan, config.largest_patch, config.levels, "FreeTumor")
    description = plan.dataset_json
    ClassProbabilities.of(plan.plans_manager.get_label_manager(description), LabelRoles.of(description).tumour)


def levels_for(config: FreeTumorConfig, plan: Plan) -> Levels:
    """Return the generator's levels; its patch can be halved as often as the plans' network and the generator do."""
    manager = plan.manager
    strides = np.prod(np.array(manager.network_arch_init_kwargs["strides"]), axis=0)
    largest = np.array(largest_patch(plan, config.largest_patch))
    whole = np.array(manager.patch_size)  # a multiple of the strides
    fewest = np.minimum(np.where(strides > 1, 2 * strides, 1), whole)  # a norm wants more than one voxel at the bottom
    wanted = np.maximum(largest // strides * strides, fewest)
    levels = Levels.of(wanted.tolist(), manager.spacing, config.levels)
    both = np.lcm(strides, np.prod(np.array(levels.strides), axis=0))
    return replace(levels, patch=tuple((-(-np.array(levels.patch) // both) * both).tolist()))


class MonitoredAdversaries(Adversaries):
    """The training step, with previews and warnings for the training loop."""

    shown: Sequence[Batch] = ()  # patches of sites, the same in all previews
    sites: Pool  # that batches are made of

    def begin(self, epoch: int) -> Mapping[str, float]:
        """Delete sites that are not used any more."""
        self.sites.tidy(epoch)
        return super().begin(epoch)

    def preview(self, path: Path) -> None:
        """Paint a row per patch: the host, and the host with its tumour, without and with the tumour's outline."""
        generator = Content(self.design).to(self.device).eval()
        load_weights(generator, self.weights())
        rows = []
        for batch in self.shown:
            host = Host.of(batch, self.device, self.spacing, None)
            with torch.no_grad():
                made = self.with_tumours(generator, host)
            x, x_ = (self.design.domain.normalise(image, host.body)[0, 0].cpu().numpy() for image in (host.image, made))
            tumour = host.tumour[0].cpu().numpy()
            cut = fullest_slice(tumour > 0)
            rows.append(outlined_row([x[cut], x_[cut]], (-1.0, 1.0), tumour[cut]))
        write_panels(titled(rows, ("host", "with a tumour")), path)

    def remarks(self, curves: Curves) -> list[str]:
        """Warn when nothing is taken for a tumour, or D always wins."""
        warnings, sure = [], curves["p of S"]
        if len(sure) > LATE and sure[-1] < UNSEEN:
            warnings.append(
                "The segmentor takes hardly any of the generator's tumours for tumours. Look at previews/; raise rate, "
                "or set logarithmic."
            )
        recent = curves["AUC of D's votes"][-LONG:]
        if len(recent) == LONG and min(recent) > SURE:
            warnings.append(
                f"The AUC of the discriminator's votes has been above {SURE:g} for {LONG} epochs: it may know its "
                "patients by heart. Look at previews/; raise lambda_adv."
            )
        return warnings


class FreeTumorFit:
    """One training of FreeTumor."""

    def __init__(self, config: FreeTumorConfig, data: FitData, folder: Path, device: torch.device) -> None:
        self.config, self.folder = config, folder
        seed = int(data.rng.integers(2**32))
        manager, donors = data.plan.manager, [case for case in data.real if case.has_tumour()]
        z, y, x = manager.spacing
        levels = levels_for(config, data.plan)
        features = features_of_levels(data.plan, config.features, config.levels)
        self.design = FreeTumorDesign(
            data.channels, data.roles.tumour, features, levels, config.smooth_voxels, config.textured,
            IntensityRange.of(data.real),
        )  # fmt: skip
        others = ((data.sample_free_side, config.free_sides), (data.sample_unlabelled, config.unlabelled))
        sites = MixedSites(data.sample_site, others)
        pieces = Pieces(sites, config.edge_mm, self.design.classes, donors, levels.patch, seed)
        self.patches = Patches(
            pieces,
            Pool(pieces.host, config.pool, config.renewed, data.pool and data.pool / "sites"),
            Pool(pieces.real, len(donors), 0, data.pool and data.pool / "real"),
            config.batch, config.iterations,
        )  # fmt: skip
        self.baseline, self.device = data.baseline, device
        segmentor, discriminator = judges(data.baseline, self.design.classes)
        self.training = MonitoredAdversaries(
            config, self.design, segmentor, discriminator, data.plan.z_scored, (z, y, x), seed, device
        )  # fmt: skip
        self.training.sites = self.patches.hosts
        schedule = Schedule(config.epochs, config.iterations, config.preview_every, PLOTS)
        self.loop = Loop(self.training, schedule, folder, data.team)

    def run(self) -> None:
        """Train, or resume the training, and write generator.safetensors."""
        self._check_recognises()
        if self.config.sure_as_of_real:
            self.training.allowed = self._missed_of_real()
        self.training.shown = list(self._shown())
        self.loop.logger.lines(self._described())
        self.loop.run(self.patches, get_allowed_n_proc_DA())
        write_network(self.folder / WEIGHTS, self.design, self.training.weights())

    def _check_recognises(self) -> None:
        """Raise when the segmentor finds no tumour in any case that it was trained on."""
        segmentor, donors = Segmentor(self.baseline, self.device), self.patches.pieces.donors
        for case in donors:
            found = segmentor.segmentation(torch.from_numpy(case.open().image())).numpy()
            if np.isin(found, self.design.classes).any():
                return
        raise UserError(
            f"{self.baseline.path} finds no tumour in any of the {len(donors)} training cases that have one, so that "
            "nothing can be learnt of what it takes for tumours; train the baseline longer, and fit with --overwrite."
        )

    def _missed_of_real(self) -> torch.Tensor:
        """Return (K,): what S misses of real tumours, by class; nothing of a class that none has."""
        seed, found = self.training.seed, []
        for index in range(MEASURED):
            patch = self.patches.real(np.random.default_rng([seed, MEASURE, index]))
            found.append(self.training.missed_of_real(as_tensors(as_batch(patch))))
        missed, there = (torch.cat(parts) for parts in zip(*found, strict=True))
        return (missed * there).sum(dim=0) / there.sum(dim=0).clamp_min(1)

    def _shown(self) -> Iterator[Batch]:
        for index in range(SHOWN):
            rng = np.random.default_rng([self.training.seed, PREVIEW, index])
            patch = self.patches.host(self.patches.pieces.new_host(rng), rng)
            yield as_tensors(as_batch(patch))

    def _described(self) -> list[str]:
        levels, training = self.design.levels, self.training
        sizes = [millions_of_weights(network) for network in (training.generator, training.discriminator)]
        by_class = zip(self.design.classes, training.allowed.tolist(), strict=True)
        allowed = ", ".join(f"{missed:.3f} of label {value}" for value, missed in by_class)
        return [
            f"patches of {' x '.join(map(str, levels.patch))} voxels, {levels.number} levels",
            f"of synthetic tumours the segmentor may miss (L_seg) {allowed}",
            f"generator {sizes[0]:.1f} million weights, discriminator {sizes[1]:.1f} million",
            f"{self.config.iterations} steps an epoch, {self.config.batch} patches each",
            *self.patches.hosts.described("sites"),
            *self.patches.reals.described("real cases"),
        ]


def as_batch(patch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return a patch as a batch of one."""
    return {name: np.asarray(array)[None] for name, array in patch.items()}


def judges(baseline: Baseline, classes: Sequence[int]) -> tuple[torch.nn.Module, Discriminator]:
    """Return segmentor S, and discriminator D, which begins as it."""
    arguments = baseline.checkpoint()["init_args"]
    labels = PlansManager(arguments["plans"]).get_label_manager(arguments["dataset_json"])
    of_classes = ClassProbabilities.of(labels, classes)
    network = single_output(baseline.network())
    return frozen(deepcopy(network)), Discriminator(network, of_classes)
