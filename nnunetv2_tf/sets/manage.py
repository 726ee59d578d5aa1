"""What `nnUNetv2_tf_sets` does, action by action. In: a request. Out: files, and a sentence on the screen."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from nnunetv2_tf.dataset.folders import FIT_POOLS, KEPT, ONLINE_POOLS, Dataset
from nnunetv2_tf.io.arguments import Fold
from nnunetv2_tf.io.array_cache import clear
from nnunetv2_tf.io.files import remove_unlocked
from nnunetv2_tf.sets.export import export_set
from nnunetv2_tf.sets.foreign import add_cases, read_ancestry
from nnunetv2_tf.sets.names import ENRICHED, remark_on_length
from nnunetv2_tf.sets.store import SetPart, all_parts, parts_of, remove_set
from nnunetv2_tf.working_space.preprocess import Plan, chosen_plans


@dataclass(frozen=True)
class RemoveRequest:
    """What nnUNetv2_tf_sets --remove is asked for."""

    dataset: str  # id or name
    set_name: str
    folds: tuple[Fold, ...] | None  # None: all that the set has


@dataclass(frozen=True)
class PreprocessRequest:
    """What nnUNetv2_tf_sets --preprocess is asked for."""

    dataset: str  # id or name
    set_name: str
    folds: tuple[Fold, ...] | None  # None: all that the set has
    configurations: tuple[str, ...] | None  # None: those that the real cases are preprocessed for
    plans: str
    num_processes: int


@dataclass(frozen=True)
class AddRequest:
    """What nnUNetv2_tf_sets --add is asked for."""

    dataset: str  # id or name
    folder: Path  # of the foreign cases, in nnU-Net's layout
    set_name: str
    folds: tuple[Fold, ...]
    ancestors: Path | None  # None: on trust, the real cases behind the foreign ones are not known
    configurations: tuple[str, ...] | None  # None: those that the real cases are preprocessed for
    plans: str
    num_processes: int


@dataclass(frozen=True)
class ExportRequest:
    """What nnUNetv2_tf_sets --export is asked for."""

    dataset: str  # id or name
    set_name: str
    folds: tuple[Fold, ...] | None  # None: all that the set has
    target_id: int  # number of the new dataset
    name: str | None  # of the new dataset; None: of the old one and the set
    plans: str


def table(id_or_name: str) -> str:
    """Return the dataset's sets as text, one per line."""
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


def clear_kept(id_or_name: str) -> str:
    """Delete what is kept of hosts, for fits, and in pools of trainings that do not run; return a sentence."""
    folder = Dataset.find(id_or_name).preprocessed / "tf"
    freed = clear(folder / KEPT) + clear(folder / FIT_POOLS)
    freed += sum(remove_unlocked(pool) for pool in (folder / ONLINE_POOLS).glob("*/*") if pool.is_dir())
    return f"{freed / 1e6:.1f} MB freed in {folder}"


def add(request: AddRequest) -> None:
    """Add a folder of foreign cases to a set and preprocess it."""
    dataset = Dataset.find(request.dataset)
    plans = chosen_plans(dataset, request.plans, request.configurations)
    ancestry = "unknown" if request.ancestors is None else read_ancestry(request.ancestors)
    parts = add_cases(
        dataset, request.folder, request.set_name, request.folds, ancestry, plans, request.num_processes
    )  # fmt: skip
    for part in parts:
        print(f"Set {request.set_name}, fold {part.fold}: {len(part.manifest().cases)} cases in {part.folder}")
    _preprocess(parts, plans, request.num_processes)
    options = f"-tr {ENRICHED}_{request.set_name} -p {request.plans}"
    print(f"Train with: nnUNetv2_train {dataset.name} {plans[0].configuration} {request.folds[0]} {options}")
    print(remark_on_length(request.set_name))


def preprocess(request: PreprocessRequest) -> None:
    """Preprocess what is missing or out of date for the configurations."""
    dataset = Dataset.find(request.dataset)
    parts = parts_of(dataset, request.set_name, request.folds)
    _preprocess(parts, chosen_plans(dataset, request.plans, request.configurations), request.num_processes)


def export(request: ExportRequest) -> None:
    """Write a standalone dataset and say what to run next."""
    dataset = Dataset.find(request.dataset)
    configurations = " ".join(plan.configuration for plan in chosen_plans(dataset, request.plans, None))
    exported = export_set(
        dataset, request.set_name, request.folds, request.target_id, request.name, request.plans
    )  # fmt: skip
    numbers = " ".join(str(fold) for fold in exported.folds)
    print(
        f"{exported.dataset.raw} and {exported.dataset.preprocessed} are written. Next, with nnU-Net alone:\n"
        f"nnUNetv2_preprocess -d {request.target_id} -plans_name {request.plans} -c {configurations}\n"
        f"nnUNetv2_train {request.target_id} {configurations.split()[0]} {exported.folds[0]} -p {request.plans}\n"
        f"Synthetic cases train in fold {numbers}. Do not train a fold that splits_final.json lacks, or `all`: nnU-Net "
        f"would validate on synthetic cases. {' '.join(exported.warnings)}".rstrip()
    )


def remove(request: RemoveRequest) -> None:
    """Delete a set, or some folds' parts of it."""
    for part in remove_set(Dataset.find(request.dataset), request.set_name, request.folds):
        print(f"Removed set {request.set_name}, fold {part.fold}: {part.folder}")


def _preprocess(parts: Sequence[SetPart], plans: Sequence[Plan], num_processes: int) -> None:
    """Preprocess parts of a set by some plans, and say how many cases were done."""
    for part in parts:
        for plan in plans:
            done = part.preprocess(plan, num_processes)
            folder = part.preprocessed(plan.data_identifier)
            print(
                f"Set {part.set_name}, fold {part.fold}: {done} cases preprocessed for {plan.configuration} in {folder}"
            )
