"""What `nnUNetv2_tf_convert_healthy` does. In: what the user typed. Out: a dataset, a contact sheet, a summary."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nnunetv2_tf.arguments import Fold
from nnunetv2_tf.cases import channel_names, dataset_json
from nnunetv2_tf.dataset_conversion.contact_sheet import write_contact_sheets
from nnunetv2_tf.dataset_conversion.healthy import LEFT_OUT, Outcome, Request, convert_scans
from nnunetv2_tf.dataset_conversion.scans import Search, find_scans
from nnunetv2_tf.errors import UserError
from nnunetv2_tf.folders import PREPARATION, Dataset
from nnunetv2_tf.preparation.affines import write_affines
from nnunetv2_tf.preparation.reference import Reference, dataset_reference, read_reference
from nnunetv2_tf.preparation.skull_strip import How, refuse_missing
from nnunetv2_tf.work import locked, read_json, write_json

SHOWN = 10  # reasons on the screen


@dataclass(frozen=True)
class Target:
    """What scans are to fit: a labelled dataset, of which a fold's training cases, or a brain in a file."""

    name: str  # as typed
    fold: Fold | None

    @property
    def dataset(self) -> Dataset | None:
        """None for a file."""
        return None if self.name.endswith((".nii", ".nii.gz")) else Dataset.find(self.name)

    def reference(self, num_processes: int) -> Reference:
        """Made when it is asked for, which takes a while."""
        dataset = self.dataset
        if dataset is None:
            return read_reference(Path(self.name))
        reference = dataset_reference(dataset, self.fold, num_processes)
        write_affines(dataset, self.fold, reference, num_processes)
        return reference


def convert_healthy(
    search: Search, number: int, name: str, target: Target, strip: How, n4: bool, keep_outliers: bool,
    num_processes: int,
) -> int:  # fmt: skip
    """Prepares folders of healthy scans as a dataset; returns 1 when some could not be used."""
    if strip != "auto":
        refuse_missing(strip)
    _refuse_other_treatment(target, n4)
    channels = _channels(target, search)
    scans, unusable = find_scans(replace(search, channels=channels))
    if not scans:
        reasons = "; ".join(f"{case}: {reason}" for case, reason in list(unusable.items())[:SHOWN])
        raise UserError(f"There is no complete scan of anybody who is wanted. {reasons}")
    dataset = Dataset(f"Dataset{number:03d}_{name}")
    with locked(dataset.raw.with_name(f".{dataset.name}.lock"), dataset.name):
        order = _order(dataset, number, name, target, search.folders)
        request = Request(dataset, target.reference(num_processes), channels, strip, n4)
        write_json(dataset.raw / PREPARATION, order)
        outcomes = convert_scans(request, scans, unusable, keep_outliers, num_processes)
        sheets = write_contact_sheets(request, outcomes)
    _say(request, outcomes, sheets)
    if not any(outcome.status == "prepared" for outcome in outcomes):
        raise UserError(f"None of the {len(outcomes)} scans can be used; the reasons are above.")
    return 1 if any(outcome.status == "unusable" for outcome in outcomes) else 0


def _say(request: Request, outcomes: Sequence[Outcome], sheets: Sequence[Path]) -> None:
    raw = request.dataset.raw
    used = sum(outcome.status == "prepared" for outcome in outcomes)
    others = [outcome for outcome in outcomes if outcome.status != "prepared"]
    print(f"{raw}: {used} of {len(outcomes)} scans are prepared.")
    for outcome in others[:SHOWN]:
        print(f"  {outcome.status}: {outcome.case}: {'; '.join(outcome.reasons)}")
    if len(others) > SHOWN:
        print(f"  and {len(others) - SHOWN} more")
    if others:
        print(f"All reasons: {raw / 'conversion_report.json'}; --keep_outliers uses outliers all the same.")
    named = {outcome.case for outcome in outcomes}
    gone = {path.name.removesuffix(".nii.gz") for path in (raw / LEFT_OUT / "labelsTr").glob("*.nii.gz")} - named
    if gone:
        print(f"{len(gone)} scans of earlier runs are not among these; they lie in {raw / LEFT_OUT}.")
    if sheets:
        print(f"Look at all of them, the least alike first: {', '.join(map(str, sheets))}")


def _channels(target: Target, search: Search) -> tuple[str, ...]:
    """The reference's channel names; beside a file, those that the user names."""
    dataset = target.dataset
    if dataset is not None:
        return channel_names(dataset)
    if target.fold is not None:
        raise UserError("-f goes with a dataset as -reference, of whose cases the fold is; leave it out.")
    read_reference(Path(target.name))
    return tuple(search.called or search.globs) or ("t1n",)


def _refuse_other_treatment(target: Target, n4: bool) -> None:
    """Raises when one cohort's bias field is corrected and the other's is not: models would tell them apart by that."""
    dataset = target.dataset
    if dataset is None:
        return
    theirs = bool((dataset_json(dataset).get("tf") or {}).get("n4", False))
    if theirs and not n4:
        raise UserError(f"The bias field of {dataset.name} is corrected; treat the healthy scans alike, with -n4.")
    if n4 and not theirs:
        raise UserError(
            f"The bias field of {dataset.name} is not corrected as far as its dataset.json says; leave -n4 out, or "
            'convert it with -n4 too (if that was done elsewhere, write "n4": true into its key tf).'
        )


def _order(dataset: Dataset, number: int, name: str, target: Target, folders: Sequence[Path]) -> dict[str, object]:
    """What a dataset is made of: a new one, or one that was begun alike, perhaps with fewer folders. Else it raises."""
    paths = sorted(str(folder.resolve()) for folder in folders)
    order: dict[str, object] = {"reference": target.name, "fold": target.fold, "folders": paths}
    path = dataset.raw / PREPARATION
    if not path.exists():
        Dataset.new(number, name)
        return order
    begun = read_json(path, "delete the dataset and convert it again.")
    missing = sorted(set(begun.get("folders", ())) - set(paths))
    if missing:
        raise UserError(
            f"{dataset.raw} holds the scans of {missing[0]} too; name that folder after -i as well, or, if they are to "
            f"go, take it out of {path}."
        )
    same = (begun.get("reference"), begun.get("fold")) == (target.name, target.fold)
    if not same and any((dataset.raw / "prepared").glob("*.json")):
        raise UserError(
            f"{dataset.raw} was begun with -reference {begun.get('reference')} and fold {begun.get('fold')}; take "
            "another -d, or delete it first."
        )
    return order
