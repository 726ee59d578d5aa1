"""A healthy dataset in the working space of a labelled one: its plans, nnU-Net's own preprocessing."""

from collections import defaultdict
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace

from nnunetv2_tf.cases import CaseFiles, case_digest, channel_names, dataset_json, raw_cases, refuse_damaged
from nnunetv2_tf.errors import UserError
from nnunetv2_tf.folders import Dataset
from nnunetv2_tf.meaning import IGNORE, Meaning, label_values
from nnunetv2_tf.preparation.preprocess import Plan, StampedFolder, chosen_plans
from nnunetv2_tf.preparation.reference import grid_of, orientation
from nnunetv2_tf.preparation.stored import Case
from nnunetv2_tf.stamps import file_digest
from nnunetv2_tf.work import locked, read_json, write_json


def preprocess_healthy(
    id_or_name: str, healthy_id: str, plans_name: str, configurations: Sequence[str] | None, num_processes: int
) -> None:
    """Writes the plans into the healthy dataset and preprocesses what is missing or out of date."""
    dataset, healthy = Dataset.find(id_or_name), Dataset.find(healthy_id)
    refuse_other_channels(dataset, healthy)
    refuse_other_orientation(dataset, healthy, plans_name)
    wanted = [plan.configuration for plan in chosen_plans(dataset, plans_name, configurations)]
    with locked(healthy.preprocessed / ".preprocess_healthy.lock", healthy.name):
        name = write_plans(dataset, healthy, plans_name)
        cases = list(raw_cases(healthy).values())
        sources = {case.identifier: [case_digest(case)] for case in cases}
        for configuration in wanted:
            plan = Plan.read(healthy, name, configuration)
            folder = StampedFolder(healthy.preprocessed / plan.data_identifier)
            stale = set(folder.stale(plan, sources))
            waiting: list[CaseFiles] = [case for case in cases if case.identifier in stale]
            folder.forget_others(sources)
            for case in waiting:
                for path in (*case.images, case.label):
                    refuse_damaged(path)
            folder.preprocess(plan, waiting, sources, num_processes)
            done = f"{len(waiting)} of {len(cases)} scans preprocessed for {configuration}"
            print(f"{healthy.name}: {done} in {folder.folder}")


def healthy_plans_name(dataset: Dataset, plans_name: str) -> str:
    """What a labelled dataset's plans are called in a healthy one: nnUNetPlans_from501."""
    return f"{plans_name}_from{dataset.name[7:10]}"


def write_plans(dataset: Dataset, healthy: Dataset, plans_name: str) -> str:
    """Writes the plans under a name, and with folders for arrays, of their own; returns the name."""
    name = healthy_plans_name(dataset, plans_name)
    plans = deepcopy(read_json(dataset.preprocessed / f"{plans_name}.json", f"plan {dataset.name} first."))
    plans |= {"plans_name": name, "dataset_name": healthy.name}
    for configuration, settings in plans["configurations"].items():
        if "data_identifier" in settings:
            settings["data_identifier"] = f"{name}_{configuration}"
    write_json(healthy.preprocessed / f"{name}.json", plans)
    write_json(healthy.preprocessed / "dataset.json", dataset_json(healthy))
    return name


def healthy_cases(dataset: Dataset, healthy: Dataset, plan: Plan) -> list[Case]:
    """The preprocessed healthy cases, in the working space of a labelled dataset's plan; all are free of tumour.

    Their organ is what they label; labels come in the numbering of the labelled dataset.
    """
    plans_name = str(plan.plans["plans_name"])
    cure = f"run nnUNetv2_tf_preprocess_healthy -d {dataset.name[7:10]} -healthy {healthy.name[7:10]} -p {plans_name}."
    refuse_other_channels(dataset, healthy)
    files = raw_cases(healthy)
    if not (healthy.preprocessed / f"{healthy_plans_name(dataset, plans_name)}.json").exists():
        raise UserError(f"{healthy.name} is not preprocessed with the plans of {dataset.name}; {cure}")
    own = _own_plan(dataset, healthy, plan)
    folder = healthy.preprocessed / own.data_identifier
    stale = StampedFolder(folder).stale(own, {name: [case_digest(case)] for name, case in files.items()})
    if stale:
        raise UserError(
            f"{stale[0]} of {healthy.name} is not preprocessed, or was before it or the plans changed; {cure}"
        )
    endings = [dataset_json(one)["file_ending"] for one in (healthy, dataset)]
    if endings[0] != endings[1]:
        raise UserError(
            f"{healthy.name} is stored as {endings[0]} and {dataset.name} as {endings[1]}; store both alike, best as "
            ".nii.gz."
        )
    refuse_copies(dataset, healthy)
    meaning = Meaning.read(dataset)
    numbering = numbering_of(dataset, healthy, meaning)
    ignored = label_values(dataset_json(healthy)).get(IGNORE, set())
    meaning = replace(meaning, organ=tuple(value for value in numbering if value not in ignored))
    return [Case(healthy, own, files[name], ("healthy", name), meaning, folder, numbering) for name in sorted(files)]


def numbering_of(dataset: Dataset, healthy: Dataset, meaning: Meaning) -> dict[int, int]:
    """The healthy dataset's values in the labelled one's numbering: of the label of that name, 0 where it has none."""
    theirs, ours = (label_values(dataset_json(one)) for one in (healthy, dataset))
    numbering = {}
    for name, values in theirs.items():
        same = ours.get(name, set()) if name != IGNORE else set()
        target = min(same) if len(same) == 1 else 0
        if target in meaning.tumour:
            raise UserError(
                f"{healthy.raw / 'dataset.json'} has the label {name}, which is tumour in {dataset.name}, and healthy "
                f"scans have none; name the organ otherwise, or say in the key tf of {dataset.name} what is tumour."
            )
        numbering |= {value: target for value in values if value}
    return numbering


def refuse_copies(dataset: Dataset, healthy: Dataset) -> None:
    """Raises when a healthy scan is the file of a real case, perhaps one that validates."""
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
    """By healthy case, the same for the same arrays."""
    return StampedFolder(healthy.preprocessed / _own_plan(dataset, healthy, plan).data_identifier).stamps()


def _own_plan(dataset: Dataset, healthy: Dataset, plan: Plan) -> Plan:
    return Plan.read(healthy, healthy_plans_name(dataset, str(plan.plans["plans_name"])), plan.configuration)


def refuse_other_channels(dataset: Dataset, healthy: Dataset) -> None:
    """Raises when the channels differ in name or order, which nnU-Net would not notice."""
    if healthy == dataset:
        raise UserError(f"-d and -healthy both name {dataset.name}; -healthy is the dataset of healthy scans.")
    theirs, ours = channel_names(healthy), channel_names(dataset)
    if [name.lower() for name in theirs] != [name.lower() for name in ours]:
        raise UserError(
            f"{healthy.raw / 'dataset.json'} has the channels {', '.join(theirs)}, and {dataset.name} has "
            f"{', '.join(ours)}, in this order; convert the healthy scans again with -reference {dataset.name[7:10]}."
        )


def refuse_other_orientation(dataset: Dataset, healthy: Dataset, plans_name: str) -> None:
    """Raises when scans of the two are stored turned against one another, and nnU-Net's reader does not turn them."""
    plans = read_json(dataset.preprocessed / f"{plans_name}.json", f"plan {dataset.name} first.")
    if "Reorient" in plans.get("image_reader_writer", ""):
        return
    known = {_orientation(case) for case in raw_cases(dataset).values()}
    for case in raw_cases(healthy).values():
        stored = _orientation(case)
        if stored not in known:
            raise UserError(
                f"{case.images[0]} is stored as {stored}, the scans of {dataset.name} as "
                f"{' or '.join(sorted(known))}; convert the healthy scans again with -reference {dataset.name[7:10]}."
            )


def _orientation(case: CaseFiles) -> str:
    path = case.images[0]
    return orientation(grid_of(path)) if path.name.endswith((".nii", ".nii.gz")) else ""
