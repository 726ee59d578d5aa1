"""Methods that learn. In: a fold's cohort and its baseline. Out: nnUNet_results/.../<method>_<preset>_h601__.../fold_k.

A fit is made once, goes on after an interruption, and is what sets of that fold are made with.
"""

import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch

from nnunetv2_tf.baseline.checkpoint import Baseline
from nnunetv2_tf.baseline.encoder import Encoder
from nnunetv2_tf.dataset.cases import case_digest, channel_names
from nnunetv2_tf.dataset.folders import FIT_POOLS, Dataset
from nnunetv2_tf.dataset.provenance import BaselineUse
from nnunetv2_tf.io.digests import digest, file_digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import locked, read_json, remove_at_once, write_json
from nnunetv2_tf.io.json_dataclass import read_record
from nnunetv2_tf.methods.base import FitData
from nnunetv2_tf.methods.lookup import SelectedMethod, needed_by
from nnunetv2_tf.synthesis.cohort import Cohort
from nnunetv2_tf.synthesis.fit_result import FitResult, build_method, learns
from nnunetv2_tf.synthesis.host_pool import HostPool
from nnunetv2_tf.synthesis.placing_pools import HealthyHostPool
from nnunetv2_tf.synthesis.set_config import CURE, SetConfig
from nnunetv2_tf.training.distributed import Team
from nnunetv2_tf.training.pool import PoolFolder
from nnunetv2_tf.working_space.healthy import check_same_channels
from nnunetv2_tf.working_space.unlabelled import check_copies, check_patients, check_same_bias_field

CONFIG, DONE = "config.json", "fitted.json"
PIECES = 1  # counts up when pools of unfinished fits would hold what is made otherwise now
LEARNT = (".json", ".pth", ".safetensors")
AGAIN = "fit again with --overwrite."


def fit_folder(cohort: Cohort, method: SelectedMethod) -> Path:
    """Return where a method's fit is, by the names that nnU-Net gives trained models."""
    assert cohort.healthy is not None
    plans = str(cohort.plan.plans["plans_name"])
    return cohort.dataset.model_fold(fit_name(method, cohort.healthy), plans, cohort.plan.configuration, cohort.fold)


def fit_name(method: SelectedMethod, healthy: Dataset) -> str:
    """Return the name of a fit's result folder, where nnU-Net has the trainer's."""
    return f"{method.name.replace(':', '.')}_{method.preset}_h{healthy.number}"


def lock_of_fit(folder: Path, what: str) -> AbstractContextManager[object]:
    """Return the lock to hold while writing to a fit's result folder; `what` names it to who waits."""
    return locked(folder.with_name(f".{folder.name}.lock"), what)


@dataclass(frozen=True)
class FitJob:
    """The fit of a method in one fold."""

    hosts: HealthyHostPool
    method: SelectedMethod
    baseline: Baseline
    device: torch.device
    team: Team = field(default_factory=Team)
    unlabelled: HealthyHostPool | None = None  # unlabelled scans as hosts

    @property
    def folder(self) -> Path:
        """Where it goes."""
        return fit_folder(self.hosts.cohort, self.method)

    @cached_property
    def config(self) -> SetConfig:
        """What it is made of and by."""
        return _config(self.hosts, self.method, self.baseline.use, self.needed, self.unlabelled)

    @cached_property
    def needed(self) -> tuple[FitResult, ...]:
        """The fits that it builds on; raises where one is missing."""
        return tuple(find_fit(self.hosts, method) for method in needed_by(self.method))

    def check(self, overwrite: bool) -> None:
        """Raise when it cannot be begun or continued; change nothing."""
        Encoder.of(self.baseline)
        if self.team.size > 1 and not self.method.method_class.fits_in_teams:
            raise UserError(f"{self.method.name} is fitted by one process; leave -num_gpus, or torchrun, out.")
        self.method.method_class.check_fit(self.method.config, self.hosts.cohort.plan, self.team.size)
        if self.unlabelled is not None:
            self._check_unlabelled(self.unlabelled, overwrite or not (self.folder / CONFIG).exists())
        config = self.config
        if not overwrite and (self.folder / CONFIG).exists():
            config.check_same(self.folder / CONFIG, self._called, AGAIN)

    def _check_unlabelled(self, hosts: HealthyHostPool, begins: bool) -> None:
        if not self.method.method_class.learns_unlabelled:
            raise UserError(f"{self.method.name} learns nothing from unlabelled scans; leave -unlabelled out.")
        dataset, unlabelled = hosts.cohort.dataset, hosts.cohort.healthy
        assert unlabelled is not None
        if unlabelled == self.hosts.cohort.healthy:
            raise UserError(f"-healthy and -unlabelled both name {unlabelled.name}; leave one out.")
        check_same_channels(dataset, unlabelled)
        check_same_bias_field(dataset, unlabelled)
        check_patients(dataset, unlabelled, hosts.cohort.fold)
        if begins:
            check_copies(dataset, unlabelled, hosts.cohort.fold)

    def run(self, overwrite: bool) -> None:
        """Fit, or go on fitting. Of several processes the main one keeps the folder, the others help it."""
        if not self.team.is_main:
            if self.team.broadcast(None):
                self._learn()
                self.team.broadcast(None)  # nobody needs the pool any more
            return
        with lock_of_fit(self.folder, f"this fit of {self.method.name}"):
            if overwrite:
                remove_at_once(self.folder)
            if not self.folder.exists():
                shutil.rmtree(self._pool.path, ignore_errors=True)
            self.config.write_or_check(self.folder / CONFIG, self._called)
            if not self.team.broadcast(_files(self.folder, self.config) is None):
                print(f"{self.folder} is fitted already; --overwrite fits it anew.")
                return
            (self.folder / DONE).unlink(missing_ok=True)
            self._learn()
            self.team.broadcast(True)
            learnt = [path for path in sorted(self.folder.iterdir()) if path.suffix in LEARNT and path.name != CONFIG]
            files = {path.name: file_digest(path) for path in learnt}
            shutil.rmtree(self._pool.path, ignore_errors=True)  # first, so that a kill leaves none of a finished fit
            write_json(self.folder / DONE, {"order": self.config.hash, "files": files})

    def _learn(self) -> None:
        method = build_method(self.method, self.device, self.needed)
        data = fit_data(self.hosts, self.baseline, method.pastes, self.team, self._pool)
        if self.unlabelled is not None:
            data = replace(data, sample_unlabelled=partial(self.unlabelled.sample_site, method.pastes))
        method.fit(data, self.folder)

    @property
    def _pool(self) -> PoolFolder:
        """Where it keeps training data: on the disk of preprocessed data, which is the fast one."""
        pools = self.hosts.cohort.dataset.preprocessed / "tf" / FIT_POOLS
        return PoolFolder(pools / self.folder.parent.name / self.folder.name, digest([PIECES, self.config.hash]))

    @property
    def _called(self) -> str:
        return f"The fit of {self.method.name}"


def fit_data(
    hosts: HealthyHostPool, baseline: Baseline, with_donors: bool, team: Team | None = None,
    pool: PoolFolder | None = None,
) -> FitData:  # fmt: skip
    """Return what a method may learn from; `with_donors`: for methods that paste."""
    cohort = hosts.cohort
    return FitData(
        real=list(cohort.training.values()),
        healthy=list(cohort.healthy_cases.values()),
        sample_site=partial(hosts.sample_site, with_donors),
        sample_free_side=partial(hosts.sample_free_side, with_donors) if cohort.knows_organ else None,
        baseline=baseline,
        plan=cohort.plan,
        roles=cohort.roles,
        channels=channel_names(cohort.dataset),
        class_names=cohort.class_values,
        rng=np.random.default_rng(hosts.seed),
        team=team or Team(),
        pool=pool,
    )


def fit_for(hosts: HostPool, method: SelectedMethod) -> FitResult | None:
    """Return the finished fit that makes a method's cases in these hosts; None where it learns nothing."""
    return find_fit(hosts, method) if isinstance(hosts, HealthyHostPool) and learns(method) else None


def find_fit(hosts: HealthyHostPool, method: SelectedMethod) -> FitResult:
    """Return the finished fit of a method for a fold; raise when there is none, or one of another cohort or preset."""
    folder = fit_folder(hosts.cohort, method)
    command = _command(hosts.cohort, method)
    if not (folder / CONFIG).exists():
        raise UserError(f"The fit {folder} does not exist; run: {command} -tr TRAINER (whose training is the baseline)")
    config = read_record(SetConfig, folder / CONFIG, CURE)
    command += "" if config.baseline is None else f" -tr {config.baseline.trainer}"
    command += f" -seed {config.seed}" if config.seed else ""
    needed = tuple(find_fit(hosts, other) for other in needed_by(method))
    fitting, unlabelled = hosts.for_fitting(config.seed or 0), None
    if config.unlabelled is not None:
        scans = Dataset.find(config.unlabelled)
        command += f" -unlabelled {scans.number}"
        check_patients(hosts.cohort.dataset, scans, hosts.cohort.fold)
        unlabelled = fitting.in_unlabelled(scans)
    now = _config(fitting, method, config.baseline, needed, unlabelled)
    now.check_same(folder / CONFIG, f"The fit of {method.name}", f"fit again: {command} --overwrite")
    files = _files(folder, config)
    if files is None:
        raise UserError(f"The fit {folder} has not ended, or its files have changed since; run: {command}")
    return FitResult(method, folder, config.baseline, digest([config.hash, files]), needed, config.unlabelled)


def _command(cohort: Cohort, method: SelectedMethod) -> str:
    """Return the command that fits a method, but for its trainer and seed."""
    assert cohort.healthy is not None
    where = f"{cohort.dataset.number} {cohort.plan.configuration} {cohort.fold}"
    command = f"nnUNetv2_tf_fit {where} -m {method.name} -healthy {cohort.healthy.number}"
    command += f" -p {cohort.plan.plans['plans_name']}" + ("" if torch.cuda.is_available() else " -device cpu")
    return command + (f" -preset {method.preset}" if method.preset != "default" else "")


def _config(
    hosts: HealthyHostPool, method: SelectedMethod, baseline: BaselineUse | None, needed: Sequence[FitResult],
    unlabelled: HealthyHostPool | None,
) -> SetConfig:  # fmt: skip
    """Collect what a fit is made of and by."""
    before = digest([fit.digest for fit in needed]) if needed else None
    learnt_from = _scans(hosts.cohort, unlabelled and unlabelled.cohort)
    dataset = None if unlabelled is None else unlabelled.cohort.healthy
    name = None if dataset is None else dataset.name
    return SetConfig.of(hosts, method, hosts.seed, baseline, before, learnt_from, unlabelled=name)


def _scans(cohort: Cohort, unlabelled: Cohort | None) -> str:
    """Digest what a method learns from, and the size in which the encoder sees it."""
    scans = {name: case_digest(case) for name, case in cohort.training_files.items()}
    others = [] if unlabelled is None else [dict(unlabelled.healthy_stamps)]
    return digest([scans, list(cohort.plan.manager.patch_size), *others])


def _files(folder: Path, config: SetConfig) -> dict[str, str] | None:
    """Return what a finished fit has learnt, by file name; None when it has not ended, or is not what it was."""
    if not (folder / DONE).exists():
        return None
    done = read_json(folder / DONE, AGAIN)
    if not isinstance(done, dict) or done.get("order") != config.hash or not isinstance(done.get("files"), dict):
        return None
    for name, expected in done["files"].items():
        if not (folder / name).is_file() or file_digest(folder / name) != expected:
            return None
    return done["files"]


def usable_device(name: str) -> torch.device:
    """Return the device of this name; raise when this machine has none."""
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("There is no CUDA device here; take -device cpu.")
    return torch.device(name)
