"""Healthy datasets in the working space of a labelled one. In: both datasets and a plan. Out: preprocessed cases."""

from collections import defaultdict
from copy import deepcopy
from dataclasses import dataclass, replace

from nnunetv2_tf.dataset.cases import CaseFiles, case_digest, channel_names, dataset_json, raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.label_roles import IGNORE, LabelRoles, label_values
from nnunetv2_tf.dataset.volumes import check_intact, grid_of, orientation
from nnunetv2_tf.io.digests import file_digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import locked, read_json, write_json
from nnunetv2_tf.working_space.preprocess import Plan, StampedFolder, chosen_plans
from nnunetv2_tf.working_space.stored import Case
from nnunetv2_tf.working_space.unlabelled import check_healthy, check_same_bias_field, is_unlabelled


@dataclass(frozen=True)
class PreprocessHealthyRequest:
    """What nnUNetv2_tf_preprocess_healthy is asked for."""

    dataset: str  # id or name of the labelled dataset
    healthy: str  # id or name of the healthy dataset, or of one of unlabelled scans
    plans: str = "nnUNetPlans"
    configurations: tuple[str, ...] | None = None  # None: those that the labelled dataset is preprocessed for
    num_processes: int = 1
    unlabelled: bool = False  # whether its scans may show tumours


def preprocess_healthy(request: PreprocessHealthyRequest) -> None:
    """Write the plans into the healthy dataset and preprocess what is missing or out of date."""
    dataset, healthy = Dataset.find(request.dataset), Dataset.find(request.healthy)
    if not request.unlabelled:
        check_healthy(healthy)
    else:
        check_same_bias_field(dataset, healthy)
    check_same_channels(dataset, healthy)
    check_same_orientation(dataset, healthy, request.plans)
    wanted = [plan.configuration for plan in chosen_plans(dataset, request.plans, request.configurations)]
    with locked(healthy.preprocessed / ".preprocess_healthy.lock", healthy.name):
        name = write_plans(dataset, healthy, request.plans)
        cases = list(raw_cases(healthy).values())
        sources = {case.identifier: _source(case) for case in cases}
        for configuration in wanted:
            plan = Plan.read(healthy, name, configuration)
            folder = StampedFolder(healthy.preprocessed / plan.data_identifier)
            stale = set(folder.stale(plan, sources, by_digest=True))
            waiting: list[CaseFiles] = [case for case in cases if case.identifier in stale]
            folder.forget_others(sources)
            for case in waiting:
                for path in (*case.images, case.label):
                    check_intact(path)
            folder.preprocess(plan, waiting, sources, _source, request.num_processes)
            done = f"{len(waiting)} of {len(cases)} scans preprocessed for {configuration}"
            print(f"{healthy.name}: {done} in {folder.folder}")


def _source(case: CaseFiles) -> list[str]:
    """Return what an array is stamped by: a digest of the files of its case."""
    return [case_digest(case)]


def healthy_plans_name(dataset: Dataset, plans_name: str) -> str:
    """Return the name that a labelled dataset's plans have in a healthy one: nnUNetPlans_from501."""
    return f"{plans_name}_from{dataset.number}"


def healthy_identifier(dataset: Dataset, plans_name: str, configuration: str) -> str:
    """Return the name of the folder with a healthy dataset's arrays by a labelled one's plans."""
    return f"{healthy_plans_name(dataset, plans_name)}_{configuration}"


def write_plans(dataset: Dataset, healthy: Dataset, plans_name: str) -> str:
    """Write the labelled dataset's plans into the healthy one, with new data identifiers and a new name; return it."""
    name = healthy_plans_name(dataset, plans_name)
    plans = deepcopy(read_json(dataset.preprocessed / f"{plans_name}.json", f"plan {dataset.name} first."))
    plans |= {"plans_name": name, "dataset_name": healthy.name}
    for configuration, settings in plans["configurations"].items():
        if "data_identifier" in settings:
            settings["data_identifier"] = healthy_identifier(dataset, plans_name, configuration)
    write_json(healthy.preprocessed / f"{name}.json", plans)
    write_json(healthy.preprocessed / "dataset.json", dataset_json(healthy))
    return name


def healthy_cases(dataset: Dataset, healthy: Dataset, plan: Plan) -> list[Case]:
    """Return the preprocessed healthy cases, in the working space of a labelled dataset's plan; none has tumour.

    Their organ is all that they label; label values are in the numbering of the labelled dataset.
    """
    plans_name = str(plan.plans["plans_name"])
    option = "unlabelled" if is_unlabelled(healthy) else "healthy"
    cure = f"run nnUNetv2_tf_preprocess_healthy -d {dataset.number} -{option} {healthy.number} -p {plans_name}."
    check_same_channels(dataset, healthy)
    files = raw_cases(healthy)
    if not (healthy.preprocessed / f"{healthy_plans_name(dataset, plans_name)}.json").exists():
        raise UserError(f"{healthy.name} is not preprocessed with the plans of {dataset.name}; {cure}")
    healthy_plan = _healthy_plan(dataset, healthy, plan)
    folder = healthy.preprocessed / healthy_plan.data_identifier
    stale = StampedFolder(folder).stale(healthy_plan, {name: _source(case) for name, case in files.items()})
    if stale:
        raise UserError(
            f"{stale[0]} of {healthy.name} is not preprocessed, or was before it or the plans changed; {cure}"
        )
    endings = [dataset_json(each)["file_ending"] for each in (healthy, dataset)]
    if endings[0] != endings[1]:
        raise UserError(
            f"{healthy.name} is stored as {endings[0]} and {dataset.name} as {endings[1]}; store both alike, best as "
            ".nii.gz."
        )
    check_no_copies(dataset, healthy)
    roles = LabelRoles.read(dataset)
    numbering = numbering_of(dataset, healthy, roles)
    ignored = label_values(dataset_json(healthy)).get(IGNORE, set())
    roles = replace(roles, organ=tuple(value for value in numbering if value not in ignored))
    return [
        Case(healthy, healthy_plan, files[name], ("healthy", name), roles, folder, numbering) for name in sorted(files)
    ]


def numbering_of(dataset: Dataset, healthy: Dataset, roles: LabelRoles) -> dict[int, int]:
    """Return, by the healthy dataset's label values, the labelled dataset's value for the label of that name, or 0."""
    healthy_labels, labels = (label_values(dataset_json(each)) for each in (healthy, dataset))
    numbering = {}
    for name, values in healthy_labels.items():
        same = labels.get(name, set()) if name != IGNORE else set()
        target = min(same) if len(same) == 1 else 0
        if target in roles.tumour:
            raise UserError(
                f"{healthy.raw / 'dataset.json'} has the label {name}, which is tumour in {dataset.name}, and healthy "
                f"scans have none; name the organ otherwise, or say in the key tf of {dataset.name} what is tumour."
            )
        numbering |= {value: target for value in values if value}
    return numbering


def check_same_organs(dataset: Dataset, unlabelled: Dataset) -> None:
    """Raise when organs that a dataset labels are not labelled in another, whose scans are to be pasted from."""
    roles, labels = LabelRoles.read(dataset), label_values(dataset_json(dataset))
    lacking = set(roles.organ) - set(numbering_of(dataset, unlabelled, roles).values())
    if lacking:
        names = ", ".join(name for name, values in labels.items() if values & lacking)
        raise UserError(
            f"{unlabelled.name} has no label {names}, which {dataset.name} has; around tumours that are pasted from it "
            "that label would be lost. Label it there, or leave -pseudolabelled out."
        )


def check_no_copies(dataset: Dataset, healthy: Dataset) -> None:
    """Raise when a healthy scan is a copy of a labelled case's file; that case might be a validation case."""
    sizes = defaultdict(list)
    for case in raw_cases(dataset).values():
        for path in case.images:
            if path.is_file():
                sizes[path.stat().st_size].append(path)
    for case in raw_cases(healthy).values():
        for path in case.images:
            alike = sizes[path.stat().st_size] if path.is_file() else []
            copied = next((other for other in alike if file_digest(other) == file_digest(path)), None)
            if copied is not None:
                raise UserError(f"{path} is the same file as {copied}, a labelled case; take it out of {healthy.name}.")


def healthy_stamps(dataset: Dataset, healthy: Dataset, plan: Plan) -> dict[str, str]:
    """Read the stamps of the healthy cases: by case, a digest that changes when its arrays do."""
    folder = StampedFolder(healthy.preprocessed / _healthy_plan(dataset, healthy, plan).data_identifier)
    return {case: stamp.made_from for case, stamp in folder.stamps().items()}


def _healthy_plan(dataset: Dataset, healthy: Dataset, plan: Plan) -> Plan:
    return Plan.read(healthy, healthy_plans_name(dataset, str(plan.plans["plans_name"])), plan.configuration)


def check_same_channels(dataset: Dataset, healthy: Dataset) -> None:
    """Raise when the channels differ in name or order, which nnU-Net would not notice."""
    if healthy == dataset:
        raise UserError(f"{dataset.name} is the labelled dataset; -healthy and -unlabelled name another one.")
    healthy_channels, channels = channel_names(healthy), channel_names(dataset)
    if [name.lower() for name in healthy_channels] != [name.lower() for name in channels]:
        cure = "convert them again with the same -modalities." if is_unlabelled(healthy) else _convert_again(dataset)
        raise UserError(
            f"{healthy.raw / 'dataset.json'} has the channels {', '.join(healthy_channels)}, and {dataset.name} has "
            f"{', '.join(channels)}, in this order; {cure}"
        )


def check_same_orientation(dataset: Dataset, healthy: Dataset, plans_name: str) -> None:
    """Raise when healthy scans are stored in an orientation no labelled scan has, unless nnU-Net's reader reorients."""
    plans = read_json(dataset.preprocessed / f"{plans_name}.json", f"plan {dataset.name} first.")
    if "Reorient" in plans.get("image_reader_writer", ""):
        return
    known = {_orientation(case) for case in raw_cases(dataset).values()}
    for case in raw_cases(healthy).values():
        stored = _orientation(case)
        if stored not in known:
            cure = "turn them as those lie first." if is_unlabelled(healthy) else _convert_again(dataset)
            raise UserError(
                f"{case.images[0]} is stored as {stored}, the scans of {dataset.name} as "
                f"{' or '.join(sorted(known))}; {cure}"
            )


def _convert_again(dataset: Dataset) -> str:
    return f"convert the healthy scans again with -reference {dataset.number}."


def _orientation(case: CaseFiles) -> str:
    path = case.images[0]
    return orientation(grid_of(path)) if path.name.endswith((".nii", ".nii.gz")) else ""
