"""What `nnUNetv2_tf_fit` and `nnUNetv2_tf_synthesize` do. In: what the user typed. Out: fits, sets, and a sentence."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nnunetv2_tf.arguments import Fold
from nnunetv2_tf.baseline.checkpoint import Baseline
from nnunetv2_tf.errors import UserError
from nnunetv2_tf.folders import Dataset
from nnunetv2_tf.methods.lookup import FoundMethod, find_method
from nnunetv2_tf.preparation.preprocess import Plan
from nnunetv2_tf.sets.names import check_set_name
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.synthesis.fits import Fitting, find_fit, learns, usable_device
from nnunetv2_tf.synthesis.hosts import HealthyHosts, Hosts, RealHosts
from nnunetv2_tf.synthesis.pictures import write_overview, write_preview
from nnunetv2_tf.synthesis.run import Run
from nnunetv2_tf.training.ddp import joined
from nnunetv2_tf.tumours.recipe import read_recipe
from nnunetv2_tf.tumours.settings import PRESETS
from nnunetv2_tf.work import Share


def synthesize(
    id_or_name: str,
    configuration: str,
    folds: Sequence[Fold],
    method_name: str,
    set_name: str,
    *,
    num_cases: int | None,
    healthy: str | None,
    asked: Mapping[str, Any],
    preset: str,
    plans_name: str,
    recipe: Path | None,
    recipe_only: bool,
    seed: int,
    share: Share,
    num_processes: int,
    device: str,
    overwrite: bool,
) -> None:
    """Makes the parts of a set for some folds, or this job's share of them.

    `asked` is what the tumours in healthy hosts are to be like: fields of Controls, fractions by the classes' names.
    """
    check_set_name(set_name)
    dataset = Dataset.find(id_or_name)
    method = usable_method(method_name, preset, healthy, asked)
    plan = Plan.read(dataset, plans_name, configuration)
    usable_device(device)
    given = None if recipe is None else tuple(read_recipe(recipe))
    runs = []
    for fold in dict.fromkeys(folds):
        hosts: Hosts = RealHosts(dataset, plan, fold, seed)
        fitted = None
        if healthy is not None:
            hosts = healthy_hosts(hosts, Dataset.find(healthy), method, asked, num_processes)
            fitted = find_fit(hosts, method) if learns(method) else None
        part = SetPart(dataset, set_name, fold)
        runs.append(Run(part, plan, method, hosts, fitted, num_cases, given, num_processes, device))
    for run in runs:  # what is wrong with one fold stops all before anything is written
        if recipe is not None:
            run.hosts.refuse(given or (), recipe)
        run.check(overwrite)
    for run in runs:
        run.start(overwrite)
    for run in runs:
        if recipe_only:
            preview = write_preview(run)
            look = "" if preview is None else f"\nLook at some: {preview}"
            print(f"Fold {run.part.fold}: {len(run.lines())} lines in {run.recipe_path}{look}")
            continue
        run.make(share)
        waiting = run.finish(share)
        if waiting:
            print(
                f"Fold {run.part.fold}: part {share.part_id} of {share.num_parts} is done; {waiting} lines are left to "
                "other parts, and the part that ends last finishes the set."
            )
            continue
        _complete(run, num_processes)


def fit(
    id_or_name: str,
    configuration: str,
    folds: Sequence[Fold],
    method_name: str,
    *,
    healthy: str,
    preset: str,
    plans_name: str,
    trainer: str,
    device: str,
    seed: int,
    overwrite: bool,
) -> None:
    """Fits a method in some folds."""
    with joined(usable_device(device)) as (team, own):
        with team.leader_first():  # what is wrong is said once
            dataset = Dataset.find(id_or_name)
            method = usable_method(method_name, preset, healthy, {})
            if not learns(method):
                raise UserError(f"{method.name} learns nothing, so there is nothing to fit; make a set with it.")
            plan = Plan.read(dataset, plans_name, configuration)
            fittings = []
            for fold in dict.fromkeys(folds):
                hosts = healthy_hosts(RealHosts(dataset, plan, fold, seed), Dataset.find(healthy), method, {}, 1)
                baseline = Baseline(dataset, trainer, plans_name, configuration, fold)
                fittings.append(Fitting(hosts, method, baseline, own, team))
            for fitting in fittings if team.leads else ():  # before hours are spent on any
                fitting.check(overwrite)
        for fitting in fittings:
            fitting.run(overwrite)
            if team.leads:
                print(f"Fold {fitting.hosts.fold}: {fitting.folder}")


def healthy_hosts(
    real: Hosts, healthy: Dataset, method: FoundMethod, asked: Mapping[str, Any], num_processes: int
) -> HealthyHosts:
    """The same fold, with healthy hosts for what a method's preset draws."""
    drawing = PRESETS.get(method.preset, PRESETS["default"])
    return HealthyHosts(
        real.dataset, real.plan, real.fold, real.seed, healthy, drawing, method.preset != "paper", asked, num_processes
    )


def usable_method(name: str, preset: str, healthy: int | str | None, asked: Mapping[str, Any]) -> FoundMethod:
    """The method, where it can be used with or without healthy scans, and where tumours can be asked for."""
    method = find_method(name, preset)
    if method.kind.hosts == "healthy" and healthy is None:
        raise UserError(f"{method.name} puts tumours into healthy scans; name their dataset with -healthy.")
    if method.kind.hosts == "real" and (healthy is not None or asked):
        flag = "-healthy" if healthy is not None else f"-{next(iter(asked))}"
        raise UserError(f"{method.name} has real hosts, and leaves tumours as they are; leave {flag} out.")
    if (method.kind.hosts == "real" and learns(method)) or (method.kind.needs and not learns(method)):
        raise UserError(f"{method.name} learns what this version cannot fit yet; take another method.")
    return method


def _complete(run: Run, num_processes: int) -> None:
    """Preprocesses, paints the overview, and says what to do next."""
    part, plan = run.part, run.plan
    part.preprocess(plan, num_processes)
    overview = write_overview(run)
    entries = part.manifest().accepted
    skipped = run.skipped(run.lines())
    replaced = f" ({len(skipped)} unusable lines left out, see {part.folder / 'skipped'})" if skipped else ""
    plans = plan.plans["plans_name"]
    options = f"-tr TFEnrichedTrainer_{part.set_name}" + (f" -p {plans}" if plans != "nnUNetPlans" else "")
    print(
        f"Set {part.set_name}, fold {part.fold}: {len(entries)} cases in {part.folder}{replaced}\n"
        f"Look at some: {overview}\n"
        f"Train with: nnUNetv2_train {part.dataset.name} {plan.configuration} {part.fold} {options}"
    )
