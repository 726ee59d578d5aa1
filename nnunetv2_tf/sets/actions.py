"""What `nnUNetv2_tf_sets` does, action by action. In: what the user typed. Out: files, and a sentence on the screen."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from nnunetv2_tf.arguments import Fold
from nnunetv2_tf.folders import Dataset
from nnunetv2_tf.preparation.preprocess import Plan, chosen_plans
from nnunetv2_tf.sets.export import export_set
from nnunetv2_tf.sets.foreign import add_cases, read_ancestry
from nnunetv2_tf.sets.store import SetPart, all_parts, parts_of, remove_set


def table(id_or_name: str) -> str:
    """The dataset's sets, one per line."""
    dataset = Dataset.find(id_or_name)
    rows: list[tuple[str, ...]] = [("set", "method", "folds", "cases", "accepted")]
    for set_name, parts in groupby(all_parts(dataset), key=lambda part: part.set_name):
        members = list(parts)
        manifests = [part.manifest() for part in members]
        methods = sorted({manifest.method for manifest in manifests})
        columns = (
            [part.fold for part in members],
            [len(manifest.cases) for manifest in manifests],
            [len(manifest.accepted) for manifest in manifests],
        )
        rows.append((set_name, " ".join(methods), *(" ".join(map(str, column)) for column in columns)))
    if len(rows) == 1:
        return f"{dataset.name} has no sets yet; nnUNetv2_tf_sets -h shows how to add one."
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in padded)


def add(
    id_or_name: str,
    folder: Path,
    set_name: str,
    folds: Sequence[Fold],
    ancestors: Path | None,
    configurations: Sequence[str] | None,
    plans_name: str,
    num_processes: int,
) -> None:
    """Adds a folder of foreign cases to a set and preprocesses it. Without an ancestors file: on trust."""
    dataset = Dataset.find(id_or_name)
    plans = chosen_plans(dataset, plans_name, configurations)
    ancestry = "unknown" if ancestors is None else read_ancestry(ancestors)
    parts = add_cases(dataset, folder, set_name, folds, ancestry, plans, num_processes)
    for part in parts:
        print(f"Set {set_name}, fold {part.fold}: {len(part.manifest().cases)} cases in {part.folder}")
    _preprocess(parts, plans, num_processes)
    options = f"-tr TFEnrichedTrainer_{set_name} -p {plans_name}"
    print(f"Train with: nnUNetv2_train {dataset.name} {plans[0].configuration} {folds[0]} {options}")


def preprocess(
    id_or_name: str,
    set_name: str,
    folds: Sequence[Fold] | None,
    configurations: Sequence[str] | None,
    plans_name: str,
    num_processes: int,
) -> None:
    """Preprocesses what is missing or out of date for the configurations."""
    dataset = Dataset.find(id_or_name)
    _preprocess(parts_of(dataset, set_name, folds), chosen_plans(dataset, plans_name, configurations), num_processes)


def export(
    id_or_name: str, set_name: str, folds: Sequence[Fold] | None, target_id: int, name: str | None, plans_name: str
) -> None:
    """Writes a standalone dataset and says what to run next."""
    dataset = Dataset.find(id_or_name)
    configurations = " ".join(plan.configuration for plan in chosen_plans(dataset, plans_name, None))
    exported = export_set(dataset, set_name, folds, target_id, name, plans_name)
    numbers = " ".join(str(fold) for fold in exported.folds)
    print(
        f"{exported.dataset.raw} and {exported.dataset.preprocessed} are written. Next, with nnU-Net alone:\n"
        f"nnUNetv2_preprocess -d {target_id} -plans_name {plans_name} -c {configurations}\n"
        f"nnUNetv2_train {target_id} {configurations.split()[0]} {exported.folds[0]} -p {plans_name}\n"
        f"Synthetic cases train in fold {numbers}. Do not train a fold that splits_final.json lacks, or `all`: nnU-Net "
        f"would validate on synthetic cases. {' '.join(exported.warnings)}".rstrip()
    )


def remove(id_or_name: str, set_name: str, folds: Sequence[Fold] | None) -> None:
    """Deletes a set, or some folds' parts of it."""
    for part in remove_set(Dataset.find(id_or_name), set_name, folds):
        print(f"Removed set {set_name}, fold {part.fold}: {part.folder}")


def _preprocess(parts: Sequence[SetPart], plans: Sequence[Plan], num_processes: int) -> None:
    for part in parts:
        for plan in plans:
            done = part.preprocess(plan, num_processes)
            folder = part.preprocessed(plan.data_identifier)
            print(
                f"Set {part.set_name}, fold {part.fold}: {done} cases preprocessed for {plan.configuration} in {folder}"
            )
