"""What `nnUNetv2_tf_synthesize` does. In: what the user typed. Out: sets, and a sentence on the screen."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nnunetv2_tf.arguments import Fold
from nnunetv2_tf.errors import UserError
from nnunetv2_tf.folders import Dataset
from nnunetv2_tf.methods.base import Method
from nnunetv2_tf.methods.lookup import FoundMethod, find_method
from nnunetv2_tf.preparation.preprocess import Plan
from nnunetv2_tf.sets.names import check_set_name
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.synthesis.hosts import HealthyHosts, Hosts, RealHosts
from nnunetv2_tf.synthesis.pictures import write_overview, write_preview
from nnunetv2_tf.synthesis.run import Run
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
    overwrite: bool,
) -> None:
    """Makes the parts of a set for some folds, or this job's share of them.

    `asked` is what the tumours in healthy hosts are to be like: fields of Controls, fractions by the classes' names.
    """
    check_set_name(set_name)
    dataset = Dataset.find(id_or_name)
    method = usable_method(method_name, preset, healthy, asked)
    plan = Plan.read(dataset, plans_name, configuration)
    given = None if recipe is None else tuple(read_recipe(recipe))
    runs = [
        Run(
            SetPart(dataset, set_name, fold),
            plan,
            method,
            _hosts(dataset, plan, fold, seed, healthy, method, asked),
            num_cases,
            given,
            num_processes,
        )
        for fold in dict.fromkeys(folds)
    ]
    for run in runs:  # what is wrong with one fold stops all before anything is written
        if recipe is not None:
            run.hosts.refuse(given or (), recipe)
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


def _hosts(
    dataset: Dataset,
    plan: Plan,
    fold: Fold,
    seed: int,
    healthy: str | None,
    method: FoundMethod,
    asked: Mapping[str, Any],
) -> Hosts:
    if healthy is None:
        return RealHosts(dataset, plan, fold, seed)
    drawing = PRESETS.get(method.preset, PRESETS["default"])
    return HealthyHosts(dataset, plan, fold, seed, Dataset.find(healthy), drawing, asked)


def usable_method(name: str, preset: str, healthy: int | str | None, asked: Mapping[str, Any]) -> FoundMethod:
    """The method, where it can be used with or without healthy scans, and where tumours can be asked for."""
    method = find_method(name, preset)
    if method.kind.hosts == "healthy" and healthy is None:
        raise UserError(f"{method.name} puts tumours into healthy scans; name their dataset with -healthy.")
    if method.kind.hosts == "real" and (healthy is not None or asked):
        flag = "-healthy" if healthy is not None else f"-{next(iter(asked))}"
        raise UserError(f"{method.name} has real hosts, and leaves tumours as they are; leave {flag} out.")
    if method.kind.hosts == "healthy" and method.kind.pastes:
        raise UserError(f"{method.name} pastes into healthy hosts, which this version cannot do; take another method.")
    if method.kind.needs or method.kind.fit is not Method.fit:
        raise UserError(f"{method.name} has to be fitted first, which this version cannot do yet; take another method.")
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
