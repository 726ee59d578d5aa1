"""Methods that learn. In: a fold's cohort and its baseline. Out: nnUNet_results/.../<method>_<preset>_h601__.../fold_k.

A fit is made once, goes on after an interruption, and is what sets of that fold are made with.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch

from nnunetv2_tf.arguments import Fold
from nnunetv2_tf.baseline.checkpoint import Baseline
from nnunetv2_tf.baseline.encoder import Encoder
from nnunetv2_tf.cases import case_digest
from nnunetv2_tf.errors import UserError
from nnunetv2_tf.folders import Dataset
from nnunetv2_tf.meaning import class_values
from nnunetv2_tf.methods.base import FitData, Method
from nnunetv2_tf.methods.lookup import FoundMethod, needed_by
from nnunetv2_tf.preparation.preprocess import Plan
from nnunetv2_tf.provenance import BaselineUse
from nnunetv2_tf.records import read_record
from nnunetv2_tf.stamps import digest, file_digest
from nnunetv2_tf.synthesis.hosts import HealthyHosts
from nnunetv2_tf.synthesis.making import Learnt, build
from nnunetv2_tf.synthesis.order import CURE, Order
from nnunetv2_tf.training.ddp import Team
from nnunetv2_tf.work import locked, read_json, write_json

CONFIG, DONE = "config.json", "fitted.json"
LEARNT = (".json", ".pth", ".safetensors")
AGAIN = "fit again with --overwrite."


@dataclass(frozen=True)
class FittedMethod:
    """What a fit has left."""

    method: FoundMethod
    folder: Path
    baseline: BaselineUse | None
    digest: str  # of its order and its files
    needed: tuple["FittedMethod", ...]  # which it was fitted after

    @property
    def learnt(self) -> Learnt:
        """For making cases."""
        return replace(_learnt(self.folder, self.needed), digest=self.digest)


def learns(method: FoundMethod) -> bool:
    """Whether it has to be fitted."""
    return method.kind.fit is not Method.fit


def fit_folder(dataset: Dataset, plan: Plan, fold: Fold, method: FoundMethod, healthy: Dataset) -> Path:
    """Where a method's fit is, by the names that nnU-Net gives trained models."""
    called = f"{method.name.replace(':', '.')}_{method.preset}_h{healthy.name[7:10]}"
    return dataset.model_fold(called, str(plan.plans["plans_name"]), plan.configuration, fold)


@dataclass(frozen=True)
class Fitting:
    """The fitting of one fold."""

    hosts: HealthyHosts
    method: FoundMethod
    baseline: Baseline
    device: torch.device
    team: Team = field(default_factory=Team)

    @property
    def folder(self) -> Path:
        """Where it goes."""
        return fit_folder(self.hosts.dataset, self.hosts.plan, self.hosts.fold, self.method, self.hosts.healthy)

    @cached_property
    def order(self) -> Order:
        """What it is made of and by."""
        return _order(self.hosts, self.method, self.baseline.use, self.needed)

    @cached_property
    def needed(self) -> tuple[FittedMethod, ...]:
        """The fits that it builds on; raises where one is missing."""
        return tuple(find_fit(self.hosts, method) for method in needed_by(self.method))

    def check(self, overwrite: bool) -> None:
        """Raises when it cannot be begun or continued; changes nothing."""
        Encoder.of(self.baseline)
        if self.team.size > 1 and not self.method.kind.fits_in_teams:
            raise UserError(f"{self.method.name} is fitted by one process; leave -num_gpus, or torchrun, out.")
        self.method.kind.check_fit(self.method.config, self.hosts.plan, self.team.size)
        order = self.order
        if not overwrite and (self.folder / CONFIG).exists():
            order.refuse_other(self.folder / CONFIG, self._called, AGAIN)

    def run(self, overwrite: bool) -> None:
        """Fits, or goes on fitting. Of several processes the leader keeps the folder, the others help it."""
        if not self.team.leads:
            if self.team.told(None):
                self._learn()
            return
        with locked(self.folder.with_name(f".{self.folder.name}.lock"), f"this fit of {self.method.name}"):
            if overwrite and self.folder.exists():
                (self.folder / DONE).unlink(missing_ok=True)  # first, so that a kill leaves nothing that looks finished
                shutil.rmtree(self.folder)
            self.order.place(self.folder / CONFIG, self._called)
            if not self.team.told(_files(self.folder, self.order) is None):
                print(f"{self.folder} is fitted already; --overwrite fits it anew.")
                return
            (self.folder / DONE).unlink(missing_ok=True)
            self._learn()
            learnt = [path for path in sorted(self.folder.iterdir()) if path.suffix in LEARNT and path.name != CONFIG]
            files = {path.name: file_digest(path) for path in learnt}
            write_json(self.folder / DONE, {"order": self.order.hash, "files": files})

    def _learn(self) -> None:
        method = build(self.method, _learnt(None, self.needed), self.device)
        data = FitData(
            real=list(self.hosts.training.values()),
            healthy=list(self.hosts.cases.values()),
            sample_site=partial(self.hosts.sample_site, method.pastes),
            baseline=self.baseline,
            class_names=class_values(self.hosts.dataset),
            rng=np.random.default_rng(self.hosts.seed),
            team=self.team,
        )
        method.fit(data, self.folder)

    @property
    def _called(self) -> str:
        return f"The fit of {self.method.name}"


def find_fit(hosts: HealthyHosts, method: FoundMethod) -> FittedMethod:
    """The finished fit of a method for a fold; raises when there is none, or one of another cohort or preset."""
    folder = fit_folder(hosts.dataset, hosts.plan, hosts.fold, method, hosts.healthy)
    where = f"{hosts.dataset.name[7:10]} {hosts.plan.configuration} {hosts.fold}"
    command = f"nnUNetv2_tf_fit {where} -m {method.name} -healthy {hosts.healthy.name[7:10]}"
    command += f" -p {hosts.plan.plans['plans_name']}"
    command += f" -preset {method.preset}" if method.preset != "default" else ""
    if not (folder / CONFIG).exists():
        raise UserError(f"The fit {folder} does not exist; run: {command} -tr TRAINER (whose training is the baseline)")
    order = read_record(Order, folder / CONFIG, CURE)
    command += "" if order.baseline is None else f" -tr {order.baseline.trainer}"
    command += f" -seed {order.seed}" if order.seed else ""
    needed = tuple(find_fit(hosts, one) for one in needed_by(method))
    now = _order(hosts.as_fitted(order.seed or 0), method, order.baseline, needed)
    now.refuse_other(folder / CONFIG, f"The fit of {method.name}", f"fit again: {command} --overwrite")
    files = _files(folder, order)
    if files is None:
        raise UserError(f"The fit {folder} has not ended, or its files have changed since; run: {command}")
    return FittedMethod(method, folder, order.baseline, digest([order.hash, files]), needed)


def _order(
    hosts: HealthyHosts, method: FoundMethod, baseline: BaselineUse | None, needed: Sequence[FittedMethod]
) -> Order:
    """What a fit is made of and by."""
    before = digest([one.digest for one in needed]) if needed else None
    return Order.of(hosts, method, hosts.seed, baseline, before, _scans(hosts))


def _learnt(folder: Path | None, needed: Sequence[FittedMethod]) -> Learnt:
    return Learnt(folder, {one.method.name: (one.method, one.learnt) for one in needed})


def _scans(hosts: HealthyHosts) -> str:
    """Digest of what a method learns from, and of the size in which the encoder sees it."""
    scans = {name: case_digest(case) for name, case in hosts.training_files.items()}
    return digest([scans, list(hosts.plan.manager.patch_size)])


def _files(folder: Path, order: Order) -> dict[str, str] | None:
    """What a finished fit has learnt, by file name; None when it has not ended, or is not what it was."""
    if not (folder / DONE).exists():
        return None
    done = read_json(folder / DONE, AGAIN)
    if not isinstance(done, dict) or done.get("order") != order.hash or not isinstance(done.get("files"), dict):
        return None
    for name, expected in done["files"].items():
        if not (folder / name).is_file() or file_digest(folder / name) != expected:
            return None
    return done["files"]


def usable_device(name: str) -> torch.device:
    """The device of this name; raises when this machine has none."""
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("There is no CUDA device here; take -device cpu.")
    return torch.device(name)
