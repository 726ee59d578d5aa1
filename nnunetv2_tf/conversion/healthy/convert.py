"""What `nnUNetv2_tf_convert_healthy` does. In: a request. Out: a dataset, a contact sheet, a summary on the screen."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nnunetv2_tf.conversion.folders import PASSED_OVER, listing
from nnunetv2_tf.conversion.healthy.contact_sheet import write_contact_sheets
from nnunetv2_tf.conversion.healthy.layouts import EVERY_CHANNEL
from nnunetv2_tf.conversion.healthy.prepare_scans import LEFT_OUT, PreparationSettings, ScanOutcome, convert_scans
from nnunetv2_tf.conversion.healthy.scans import Search, find_scans, without_scans
from nnunetv2_tf.dataset.cases import channel_names, says_of_itself
from nnunetv2_tf.dataset.folders import PREPARATION, Dataset
from nnunetv2_tf.io.arguments import Fold
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.registration.affines import write_affines
from nnunetv2_tf.registration.reference import Reference, dataset_reference, read_reference
from nnunetv2_tf.registration.skull_strip import Stripper, check_installed

SHOWN = 10  # reasons on the screen


@dataclass(frozen=True)
class Target:
    """What scans are to fit: a labelled dataset, of which a fold's training cases, or a brain in a file."""

    name: str  # as typed
    fold: Fold | None

    @property
    def dataset(self) -> Dataset | None:
        """The labelled dataset; None where the target is a file."""
        return None if self.name.endswith((".nii", ".nii.gz")) else Dataset.find(self.name)

    @property
    def written(self) -> str:
        """What preparation.json calls it, however it was typed."""
        return str(Path(self.name).resolve()) if self.dataset is None else self.dataset.name

    def is_called(self, written: str) -> bool:
        """Tell whether a preparation.json means it; earlier versions wrote it as it was typed."""
        if self.dataset is None:
            return str(Path(written).resolve()) == self.written
        return self.dataset.is_called(written)

    def reference(self, num_processes: int) -> Reference:
        """Return the brain that scans are laid upon; that of a dataset is made now, which takes a while."""
        dataset = self.dataset
        if dataset is None:
            return read_reference(Path(self.name))
        reference = dataset_reference(dataset, self.fold, num_processes)
        write_affines(dataset, self.fold, reference, num_processes)
        return reference


@dataclass(frozen=True)
class ConvertHealthyRequest:
    """What nnUNetv2_tf_convert_healthy is asked for."""

    search: Search  # without channels: those of the target are looked up
    number: int  # of the dataset
    name: str  # of the dataset, without its number
    target: Target
    strip: Stripper
    n4: bool
    keep_outliers: bool
    num_processes: int

    @property
    def dataset(self) -> Dataset:
        """The dataset that is made, or that gets more scans."""
        return Dataset.of(self.number, self.name)


def convert_healthy(request: ConvertHealthyRequest) -> int:
    """Prepare folders of healthy scans as a dataset; return 1 when some could not be used."""
    if request.strip != "auto":
        check_installed(request.strip)
    _check_same_treatment(request)
    channels = _channels(request)
    search = replace(request.search, channels=channels)
    scans, unusable = find_scans(search)
    if not scans:
        reasons = "; ".join(f"{case}: {reason}" for case, reason in list(unusable.items())[:SHOWN])
        more = f". {EVERY_CHANNEL}" if len(channels) > 1 else ""
        raise UserError(f"There is no complete scan of anybody who is wanted. {reasons}{more}")
    dataset = request.dataset
    with dataset.lock:
        order, new = _order(request), not request.dataset.raw.exists()
        reference = request.target.reference(request.num_processes)
        settings = PreparationSettings(dataset, reference, channels, request.strip, request.n4)
        write_json(dataset.raw / PREPARATION, order)
        outcomes = convert_scans(settings, scans, unusable, request.keep_outliers, request.num_processes)
        if new and all(outcome.status == "unusable" for outcome in outcomes):
            shutil.rmtree(dataset.raw)  # it holds reasons only, and would block its number
            reasons = "\n".join(f"  {outcome.case}: {'; '.join(outcome.reasons)}" for outcome in outcomes)
            raise UserError(f"None of the {len(outcomes)} scans can be used, so there is no dataset:\n{reasons}")
        sheets = write_contact_sheets(settings, outcomes)
        passed = without_scans(search)
        write_json(dataset.raw / PASSED_OVER, [str(folder) for folder in passed])
    _say(dataset.raw, outcomes, sheets)
    if passed:
        print(f"Passed over, since no scan of {' or '.join(channels)} is recognised in them:\n{listing(passed)}")
    if not any(outcome.status == "prepared" for outcome in outcomes):
        raise UserError(f"None of the {len(outcomes)} scans can be used; the reasons are above.")
    return 1 if any(outcome.status == "unusable" for outcome in outcomes) else 0


def _say(raw: Path, outcomes: Sequence[ScanOutcome], sheets: Sequence[Path]) -> None:
    """Print how many scans are prepared, why others are not, and which pictures to look at."""
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


def _channels(request: ConvertHealthyRequest) -> tuple[str, ...]:
    """Return the labelled dataset's channel names; where the target is a file, those that the user names."""
    target, search = request.target, request.search
    dataset = target.dataset
    if dataset is not None:
        return channel_names(dataset)
    if target.fold is not None:
        raise UserError("-f goes with a dataset as -reference, of whose cases the fold is; leave it out.")
    read_reference(Path(target.name))
    return tuple(search.called or search.globs) or ("t1n",)


def _check_same_treatment(request: ConvertHealthyRequest) -> None:
    """Raise when one cohort's bias field is corrected and the other's is not: models would tell them apart by that."""
    dataset = request.target.dataset
    if dataset is None:
        return
    corrected = says_of_itself(dataset, "n4")
    if corrected and not request.n4:
        raise UserError(f"The bias field of {dataset.name} is corrected; treat the healthy scans alike, with -n4.")
    if request.n4 and not corrected:
        raise UserError(
            f"The bias field of {dataset.name} is not corrected as far as its dataset.json says; leave -n4 out, or "
            'convert it with -n4 too (if that was done elsewhere, write "n4": true into its key tf).'
        )


def _order(request: ConvertHealthyRequest) -> dict[str, object]:
    """Return what the dataset is made of, as in preparation.json: reference, fold and folders.

    The dataset is a new one, or was begun with the same reference and fold and perhaps with fewer folders. Raises
    otherwise.
    """
    dataset, target = request.dataset, request.target
    paths = sorted(str(folder.resolve()) for folder in request.search.folders)
    order: dict[str, object] = {"reference": target.written, "fold": target.fold, "folders": paths}
    path = dataset.raw / PREPARATION
    if not path.exists():
        if not any(file.is_file() for file in dataset.raw.rglob("*")):
            shutil.rmtree(dataset.raw, ignore_errors=True)  # a run that could not write its first file left it
        Dataset.new(request.number, request.name)
        return order
    begun = read_json(path, "delete the dataset and convert it again.")
    missing = sorted(set(begun.get("folders", ())) - set(paths))
    if missing:
        raise UserError(
            f"{dataset.raw} holds the scans of {missing[0]} too; name that folder after -i as well, or, if they are to "
            f"go, take it out of {path}."
        )
    same = target.is_called(str(begun.get("reference"))) and begun.get("fold") == target.fold
    if not same and any((dataset.raw / "prepared").glob("*.json")):
        raise UserError(
            f"{dataset.raw} was begun with -reference {begun.get('reference')} and fold {begun.get('fold')}; take "
            "another -d, or delete it first."
        )
    return order
