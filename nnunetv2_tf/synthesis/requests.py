"""What nnUNetv2_tf_fit and nnUNetv2_tf_synthesize do. In: a request. Out: fits, sets, and a sentence on the screen."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nnunetv2_tf.baseline.checkpoint import Baseline
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.folds import remark_on
from nnunetv2_tf.io.arguments import KEPT_GB, Fold
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.parallel import Share
from nnunetv2_tf.methods.base import Method
from nnunetv2_tf.methods.lookup import SelectedMethod, find_method, in_steps
from nnunetv2_tf.sets.names import BASELINE, check_set_name, enriched_like, remark_on_length
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.synthesis.acceptance import FilterRule
from nnunetv2_tf.synthesis.cohort import Cohort
from nnunetv2_tf.synthesis.fit_result import FitResult, learns
from nnunetv2_tf.synthesis.fitting import FitJob, fit_for, usable_device
from nnunetv2_tf.synthesis.host_pool import HostPool
from nnunetv2_tf.synthesis.pictures import write_overview, write_preview
from nnunetv2_tf.synthesis.placing_pools import HealthyHostPool, hosts_for
from nnunetv2_tf.synthesis.pseudo_donors import pseudo_donors
from nnunetv2_tf.synthesis.quality_table import write_quality
from nnunetv2_tf.synthesis.real_passes import real_passes
from nnunetv2_tf.synthesis.set_builder import SetBuilder
from nnunetv2_tf.training.distributed import joined
from nnunetv2_tf.tumours.recipe import RecipeLine, read_recipe
from nnunetv2_tf.working_space.healthy import check_same_organs
from nnunetv2_tf.working_space.preprocess import Plan
from nnunetv2_tf.working_space.unlabelled import check_healthy

FEW_DONORS, FEW_CASES = 3, 8  # with fewer, it says nothing that most cases are of one donor


@dataclass(frozen=True)
class MethodRequest:
    """Where a method works, and in which manner: the same for fitting it and for making cases with it."""

    dataset: str  # id or name
    configuration: str
    folds: tuple[Fold, ...]
    method: str
    healthy: str | None  # id or name of the healthy dataset
    preset: str = "default"
    plans: str = "nnUNetPlans"
    seed: int = 0
    device: str = "cpu"
    overwrite: bool = False
    kept_gb: float = KEPT_GB
    trust_checkpoint: bool = False  # the baseline's, even where it may run code

    def hosts(self, fold: Fold, method: SelectedMethod, asked: Mapping[str, Any], num_processes: int) -> HostPool:
        """Return the hosts of a fold: healthy ones where -healthy names some."""
        dataset = Dataset.find(self.dataset)
        plan = Plan.read(dataset, self.plans, self.configuration)
        healthy = None if self.healthy is None else Dataset.find(self.healthy)
        if healthy is not None:
            check_healthy(healthy)
        return hosts_for(method, Cohort(dataset, plan, fold, healthy, self.kept_gb), self.seed, asked, num_processes)


@dataclass(frozen=True)
class FitRequest(MethodRequest):
    """What nnUNetv2_tf_fit is asked for."""

    trainer: str = "TFBaselineTrainer"  # whose finished training is the baseline
    unlabelled: str | None = None  # id or name of a dataset of unlabelled scans


@dataclass(frozen=True)
class SynthesizeRequest(MethodRequest):
    """What nnUNetv2_tf_synthesize is asked for."""

    set_name: str = ""
    num_cases: int | None = None
    asked: Mapping[str, Any] = field(default_factory=dict)  # of TumourConstraints, fractions by the classes' names
    recipe: Path | None = None
    recipe_only: bool = False
    share: Share = field(default_factory=Share)
    num_processes: int = 1
    keep: tuple[float, float] | None = None  # shares that the filter keeps; None: no filter
    steps: int | None = None  # that a diffusion model takes for a tumour; None: those of the preset
    pseudolabelled: str | None = None  # id or name of a dataset of unlabelled scans that are donors, too
    # whose finished training filters, or has labelled these; None: the one that the method was fitted by
    trainer: str | None = None


def fit(request: FitRequest) -> None:
    """Fit a method in some folds."""
    with joined(usable_device(request.device)) as (team, device):
        with team.main_first():  # what is wrong is said once
            method = usable_method(request.method, request.preset, request.healthy, {}, fits=True)
            if not learns(method):
                raise UserError(f"{method.name} learns nothing, so there is nothing to fit; make a set with it.")
            jobs = []
            for fold in dict.fromkeys(request.folds):
                hosts = request.hosts(fold, method, {}, 1)
                assert isinstance(hosts, HealthyHostPool)  # usable_method saw to it
                baseline = Baseline(
                    hosts.cohort.dataset, request.trainer, request.plans, request.configuration, fold,
                    request.trust_checkpoint,
                )  # fmt: skip
                unlabelled = request.unlabelled and hosts.in_unlabelled(Dataset.find(request.unlabelled))
                jobs.append(FitJob(hosts, method, baseline, device, team, unlabelled or None))
            for job in jobs if team.is_main else ():  # before hours are spent on any
                job.check(request.overwrite)
            if team.is_main:
                _remark_on_folds(request.folds, jobs[0].hosts.cohort.dataset)
        for job in jobs:
            job.run(request.overwrite)
            if team.is_main:
                print(f"Fold {job.hosts.cohort.fold}: {job.folder}")


def _remark_on_folds(folds: Sequence[Fold], dataset: Dataset) -> None:
    for remark in filter(None, (remark_on(fold, dataset) for fold in dict.fromkeys(folds))):
        print(remark)


def synthesize(request: SynthesizeRequest) -> None:
    """Make the parts of a set for some folds, or this job's share of them."""
    check_set_name(request.set_name)
    dataset = Dataset.find(request.dataset)
    method = usable_method(request.method, request.preset, request.healthy, request.asked)
    Plan.read(dataset, request.plans, request.configuration)
    usable_device(request.device)
    given = None if request.recipe is None else tuple(read_recipe(request.recipe))
    builders = [_builder(request, fold, method, given) for fold in dict.fromkeys(request.folds)]
    _remark_on_folds(request.folds, dataset)
    for builder in builders:  # what is wrong with one fold stops all before anything is written
        if request.recipe is not None:
            builder.hosts.check_lines(given or (), request.recipe)
        builder.check(request.overwrite)
    for builder in builders:
        builder.start(request.overwrite)
        if builder.filter is not None and not request.recipe_only:
            print(f"Fold {builder.part.fold}: {_real_passes(builder)}")
    for builder in builders:
        fold, share = builder.part.fold, request.share
        if request.recipe_only:
            preview = write_preview(builder)
            look = "" if preview is None else f"\nLook at some: {preview}"
            print(f"Fold {fold}: {len(builder.lines())} lines in {builder.recipe_path}{look}")
            continue
        builder.make(share)
        waiting = builder.finish(share)
        if waiting:
            print(
                f"Fold {fold}: part {share.part_id} of {share.num_parts} is done; {waiting} lines are left to "
                "other parts, and the part that ends last finishes the set."
            )
            continue
        _complete(builder)


def _builder(
    request: SynthesizeRequest, fold: Fold, method: SelectedMethod, given: tuple[RecipeLine, ...] | None
) -> SetBuilder:
    hosts = request.hosts(fold, method, request.asked, request.num_processes)
    fitted = fit_for(hosts, method)
    if request.steps is not None:
        method = in_steps(method, request.steps)
        fitted = fitted and replace(fitted, method=method)
    baseline = _asked_baseline(request, hosts, fitted)
    if request.pseudolabelled is not None:
        hosts = _with_pseudo(hosts, method, baseline, Dataset.find(request.pseudolabelled))
    return SetBuilder(
        part=SetPart(hosts.cohort.dataset, request.set_name, fold),
        method=method,
        hosts=hosts,
        fit=fitted,
        num_cases=request.num_cases,
        given=given,
        num_processes=request.num_processes,
        device=request.device,
        filter=None if request.keep is None else FilterRule(baseline, request.keep),
    )


def _with_pseudo(hosts: HostPool, method: SelectedMethod, baseline: Baseline, unlabelled: Dataset) -> HostPool:
    """Return the same hosts with pseudo-labelled donors besides."""
    if method.shapes is not None:
        raise UserError(f"The tumours of {method.name} are shapes, and nobody's; leave -pseudolabelled out.")
    if unlabelled == hosts.cohort.healthy:
        raise UserError(f"-healthy and -pseudolabelled both name {unlabelled.name}; leave one out.")
    check_same_organs(hosts.cohort.dataset, unlabelled)
    cohort = hosts.cohort.with_pseudo(pseudo_donors(baseline, unlabelled, hosts.cohort.plan))
    cohort.check_same_space()
    return replace(hosts, cohort=cohort)


def _asked_baseline(request: SynthesizeRequest, hosts: HostPool, fitted: FitResult | None) -> Baseline:
    """Return the baseline that filters, or has labelled: the one asked for, else that of the fit, else the usual."""
    trainer = request.trainer
    if trainer is None:
        trainer = BASELINE if fitted is None or fitted.baseline is None else fitted.baseline.trainer
    cohort = hosts.cohort
    where = (request.plans, request.configuration, cohort.fold)
    return Baseline(cohort.dataset, trainer, *where, request.trust_checkpoint)


def usable_method(
    name: str, preset: str, healthy: str | None, asked: Mapping[str, Any], fits: bool = False
) -> SelectedMethod:  # fmt: skip
    """Return the method, where it can be used with or without healthy scans, and where tumours can be asked for.

    Args:
        name: after -m
        preset: of the method
        healthy: the healthy dataset, if one is named
        asked: what tumours are to be like
        fits: it is only to be fitted; else it makes cases
    """
    method = find_method(name, preset)
    if not fits and not issubclass(method.method_class, Method):
        raise UserError(f"{method.name} makes no cases; it is fitted for methods that need it.")
    if healthy is None and "real" not in method.method_class.hosts:
        raise UserError(f"{method.name} puts tumours into healthy scans; name their dataset with -healthy.")
    in_place = healthy is None and not method.method_class.moves
    if (healthy is not None and "healthy" not in method.method_class.hosts) or (in_place and asked):
        flag = "-healthy" if healthy is not None else f"-{next(iter(asked))}"
        raise UserError(f"{method.name} has real hosts, and leaves tumours as they are; leave {flag} out.")
    if (healthy is None and learns(method)) or (method.method_class.needs and not learns(method)):
        raise UserError(f"{method.name} learns what this version cannot fit yet; take another method.")
    return method


def _real_passes(builder: SetBuilder) -> str:
    assert builder.filter is not None
    return real_passes(builder.hosts.cohort, builder.filter, builder.device).sentence(builder.filter)


def _complete(builder: SetBuilder) -> None:
    """Preprocess, paint the overview, and say what to do next."""
    part, plan = builder.part, builder.hosts.cohort.plan
    part.preprocess(plan, builder.num_processes)
    overview = write_overview(builder)
    entries, lines = part.manifest().accepted, builder.lines()
    quality, skipped = write_quality(part, lines), builder.skipped(lines)
    replaced = f" ({len(skipped)} of {len(lines)} lines left out, see {quality})" if skipped else ""
    made = {entry.line for entry in entries}
    donors = len(builder.hosts.cohort.names.donors)
    one_sided = _mostly_of_one(donors, [line for line in lines if line.index in made])
    plans = plan.plans["plans_name"]
    baseline = builder.fit.baseline if builder.fit is not None else None
    trainer = enriched_like(BASELINE if baseline is None else baseline.trainer, part.set_name)
    options = f"-tr {trainer}" + (f" -p {plans}" if plans != "nnUNetPlans" else "")
    print(
        f"Set {part.set_name}, fold {part.fold}: {len(entries)} cases in {part.folder}{replaced}{one_sided}\n"
        f"Look at some: {overview}\n"
        f"Train with: nnUNetv2_train {part.dataset.name} {plan.configuration} {part.fold} {options}"
    )
    if baseline is None:
        print(remark_on_length(part.set_name))


def _mostly_of_one(known: int, lines: Sequence[RecipeLine]) -> str:
    """Return a warning where most cases have the tumour of one donor out of several; nothing else.

    Args:
        known: how many donors there are
        lines: of the cases
    """
    counted = Counter(name for line in lines for name in line.donors).most_common(1)
    if known < FEW_DONORS or len(lines) < FEW_CASES or counted[0][1] <= len(lines) / 2:
        return ""
    name, number = counted[0]
    return (
        f"\nWARNING: {number} of {len(lines)} cases have the tumour of {name}, and {known} cases have one to give; "
        "quality.csv says why lines were left out."
    )
