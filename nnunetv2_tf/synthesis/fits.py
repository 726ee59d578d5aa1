"""Methods that learn. In: a fold's cohort and its baseline. Out: nnUNet_results/.../<method>_<preset>_h601__.../fold_k.

A fit is made once, goes on after an interruption, and is what sets of that fold are made with.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from nnunetv2_tf.arguments import Fold
from nnunetv2_tf.baseline.checkpoint import Baseline
from nnunetv2_tf.errors import UserError
from nnunetv2_tf.folders import Dataset, place
from nnunetv2_tf.meaning import class_values
from nnunetv2_tf.methods.base import FitData, Method
from nnunetv2_tf.methods.lookup import FoundMethod
from nnunetv2_tf.preparation.preprocess import Plan
from nnunetv2_tf.provenance import BaselineUse
from nnunetv2_tf.records import read_record
from nnunetv2_tf.stamps import digest, file_digest
from nnunetv2_tf.synthesis.hosts import HealthyHosts
from nnunetv2_tf.synthesis.order import CURE, Order
from nnunetv2_tf.work import locked, write_json

CONFIG, DONE = "config.json", "fitted.json"


@dataclass(frozen=True)
class FittedMethod:
    """What a fit has left."""

    folder: Path
    baseline: BaselineUse | None
    digest: str  # of its order and its files


def learns(method: FoundMethod) -> bool:
    """Whether it has to be fitted."""
    return method.kind.fit is not Method.fit


def fit_folder(dataset: Dataset, plan: Plan, fold: Fold, method: FoundMethod, healthy: Dataset) -> Path:
    """Where a method's fit is, by the names that nnU-Net gives trained models."""
    called = f"{method.name.replace(':', '.')}_{method.preset}_h{healthy.name[7:10]}"
    model = f"{called}__{plan.plans['plans_name']}__{plan.configuration}"
    return place("nnUNet_results") / dataset.name / model / f"fold_{fold}"


def fit_method(hosts: HealthyHosts, method: FoundMethod, baseline: Baseline, device: torch.device) -> Path:
    """Fits, or goes on fitting; returns the folder."""
    folder = fit_folder(hosts.dataset, hosts.plan, hosts.fold, method, hosts.healthy)
    baseline.checkpoint()  # whatever is wrong with it is said before anything is written
    order = Order.of(hosts, method, hosts.seed, baseline.use)
    with locked(folder.with_name(f".{folder.name}.lock"), f"this fit of {method.name}"):
        order.place(folder / CONFIG, f"The fit of {method.name}")
        if (folder / DONE).exists():
            print(f"{folder} is fitted already; --overwrite fits it anew.")
            return folder
        data = FitData(
            real=list(hosts.training.values()),
            healthy=list(hosts.cases.values()),
            sample_site=hosts.sample_site,
            baseline=baseline,
            class_names=class_values(hosts.dataset),
            rng=np.random.default_rng(hosts.seed),
        )
        method.kind(method.config, device, {}).fit(data, folder)
        write_json(folder / DONE, {"order": order.hash, "files": _digests(folder)})
    return folder


def remove_fit(hosts: HealthyHosts, method: FoundMethod) -> None:
    """Deletes a fit, whatever its state."""
    shutil.rmtree(fit_folder(hosts.dataset, hosts.plan, hosts.fold, method, hosts.healthy), ignore_errors=True)


def usable_device(name: str) -> torch.device:
    """The device of this name; raises when this machine has none."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there[name]:
        raise UserError(f"There is no {name} device here; take -device cpu.")
    return torch.device(name)


def find_fit(hosts: HealthyHosts, method: FoundMethod) -> FittedMethod:
    """The finished fit of a method for a fold; raises when there is none, or one of another cohort or preset."""
    folder = fit_folder(hosts.dataset, hosts.plan, hosts.fold, method, hosts.healthy)
    where = f"{hosts.dataset.name[7:10]} {hosts.plan.configuration} {hosts.fold}"
    plans = hosts.plan.plans["plans_name"]
    command = f"nnUNetv2_tf_fit {where} -m {method.name} -healthy {hosts.healthy.name[7:10]} -p {plans}"
    if method.preset != "default":
        command += f" -preset {method.preset}"
    if not (folder / DONE).exists():
        state = "has not ended" if (folder / CONFIG).exists() else "does not exist"
        raise UserError(f"The fit {folder} {state}; run: {command}")
    order = read_record(Order, folder / CONFIG, CURE)
    asked = hosts.as_fitted(order.seed or 0)
    Order.of(asked, method, order.seed, order.baseline).refuse_other(folder / CONFIG, f"The fit of {method.name}")
    return FittedMethod(folder, order.baseline, digest([order.hash, _digests(folder)]))


def _digests(folder: Path) -> dict[str, str]:
    """Of what was learnt, by file name."""
    learnt = [path for path in sorted(folder.iterdir()) if path.suffix in (".json", ".pth", ".safetensors")]
    return {path.name: file_digest(path) for path in learnt if path.name not in (CONFIG, DONE)}
