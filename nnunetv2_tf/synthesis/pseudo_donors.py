"""Unlabelled scans whose tumours a baseline has labelled. In: what `pseudo_labels` wrote. Out: donors, or why not.

They go by names that say so, pseudo602_<scan>, in recipes, sidecars and pictures. Their labels are NIfTI files.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nnunetv2_tf.baseline.checkpoint import Baseline
from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.folds import Patient, fold_split
from nnunetv2_tf.dataset.provenance import BaselineUse, PseudoUse
from nnunetv2_tf.geometry.resampling import resample_label
from nnunetv2_tf.io.digests import digest, file_digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.json_dataclass import read_record, to_json
from nnunetv2_tf.quality.pseudo_labels import LEFT, ComponentRules
from nnunetv2_tf.synthesis.host_files import read_file, turned
from nnunetv2_tf.working_space.healthy import healthy_cases, healthy_stamps
from nnunetv2_tf.working_space.preprocess import Plan
from nnunetv2_tf.working_space.stored import Case, OpenCase
from nnunetv2_tf.working_space.unlabelled import check_patients, named_in, patients_in

FOLDER, DONE = "pseudo_labels", "pseudo_labels.json"  # in the fold's folder of the baseline
CURE = "label them anew with --overwrite."


@dataclass(frozen=True)
class PseudoLabels:
    """pseudo_labels.json: what a baseline has labelled, and by which rules."""

    unlabelled: str  # the dataset
    baseline: BaselineUse
    rules: ComponentRules
    mirroring: bool
    stamps: Mapping[str, str]  # digest of each scan's arrays
    labels: Mapping[str, str | None]  # digest of each scan's label; None: nothing in it was taken


@dataclass(frozen=True)
class PseudoCase(Case):
    """An unlabelled scan with a label that a baseline has given it."""

    label_file: Path = Path()

    @property
    def identifier(self) -> str:
        """The name that it goes by as a donor."""
        return pseudo_name(self.dataset, self.files.identifier)

    def open(self) -> "OpenPseudoCase":
        """Return the case with access to its arrays."""
        return OpenPseudoCase(*(getattr(self, entry.name) for entry in fields(PseudoCase)))

    def has_tumour(self) -> bool:
        """Return that it has tumour; scans without are no donors."""
        return True

    def stamp(self) -> list[Any]:
        """Return what changes with its arrays, or with its label."""
        stat = self.label_file.stat()
        return [*super().stamp(), [stat.st_size, stat.st_mtime_ns]]


class OpenPseudoCase(PseudoCase, OpenCase):
    """The same, opened."""

    def label(self) -> np.ndarray:
        """Return the label (Z, Y, X) int16: the tumour that it was given, over the scan's own label."""
        given = np.isin(self._given, self.roles.tumour)
        return np.where(given, self._given, super().label()).astype(np.int16)

    def organ(self) -> np.ndarray:
        """Return (Z, Y, X) bool: the organ, but where something was predicted of which nobody knows what it is."""
        return super().organ() & (self._given != LEFT)

    @cached_property
    def _given(self) -> np.ndarray:
        """What was predicted: classes of the tumour, and LEFT where it was not taken."""
        volume = read_file(self.label_file, self)
        native = volume.to_native(turned(volume, self)).astype(np.int16)
        return resample_label(native, self.grid.to_native, self.grid.shape)


@dataclass(frozen=True)
class PseudoDonors:
    """The scans of a dataset in which a baseline has found tumours."""

    dataset: Dataset
    cases: Mapping[str, PseudoCase]  # by the names that they go by
    use: PseudoUse
    ancestors: frozenset[str]  # real cases that the baseline was trained on
    patients: Mapping[str, Patient]  # of all scans of the dataset, by dataset and scan, for sidecars


def pseudo_name(unlabelled: Dataset, scan: str) -> str:
    """Return the name that a pseudo-labelled scan goes by as a donor."""
    return f"pseudo{unlabelled.number}_{scan}"


def pseudo_folder(baseline: Baseline, unlabelled: Dataset) -> Path:
    """Return where a baseline's labels of a dataset's scans are: beside nnU-Net's folder of its predictions."""
    return baseline.folder / FOLDER / unlabelled.name


def pseudo_donors(baseline: Baseline, unlabelled: Dataset, plan: Plan) -> PseudoDonors:
    """Return the donors among unlabelled scans; raise when they are not labelled, or are not what was labelled."""
    dataset, fold = baseline.dataset, baseline.fold
    folder = pseudo_folder(baseline, unlabelled)
    baseline.checkpoint()  # raises where it is gone, or trained on cases that validate now
    if not (folder / DONE).exists():
        raise UserError(
            f"Nobody has labelled the scans of {unlabelled.name} by {baseline.trainer} of fold {fold} yet, or not all; "
            f"{_command(baseline, unlabelled)}"
        )
    record = read_record(PseudoLabels, folder / DONE, CURE)
    again = _command(baseline, unlabelled, record)
    check_patients(dataset, unlabelled, fold)
    if record.baseline != baseline.use:
        raise UserError(f"{baseline.path} has been trained anew since it labelled {folder}; {again} --overwrite")
    cases = {case.identifier: case for case in healthy_cases(dataset, unlabelled, plan)}
    stamps = healthy_stamps(dataset, unlabelled, plan)
    patients = patients_in(unlabelled)
    changed = sorted(name for name in cases if record.stamps.get(name) != stamps[name])
    if changed or set(record.stamps) != set(cases):
        first = changed[0] if changed else min(set(record.stamps) - set(cases))
        raise UserError(f"{first} of {unlabelled.name} is new, gone or has changed since it was labelled; {again}")
    donors = {}
    for name, expected in record.labels.items():
        file = label_file(folder, name, plan)
        if expected is not None and not (file.is_file() and file_digest(file) == expected):
            raise UserError(f"{file} is not what was written there; {again}")
        if expected is not None:
            donor = _as_donor(cases[name], patients[name], file)
            donors[donor.identifier] = donor
    if not donors:
        raise UserError(f"None of the scans of {unlabelled.name} has a tumour that was taken ({folder}).")
    use = PseudoUse(unlabelled.name, record.baseline, digest(to_json(record)))
    train = frozenset(fold_split(dataset, fold, raw_cases(dataset)).train)
    return PseudoDonors(unlabelled, donors, use, train, named_in(unlabelled, patients))


def label_file(folder: Path, scan: str, plan: Plan) -> Path:
    """Return where the label of a scan is, if it has any."""
    return folder / f"{scan}{plan.dataset_json['file_ending']}"


def _command(baseline: Baseline, unlabelled: Dataset, record: PseudoLabels | None = None) -> str:
    """Return what labels the scans, by the rules that a record tells of."""
    command = (
        f"run: nnUNetv2_tf_sets -d {baseline.dataset.number} --pseudolabel {unlabelled.number} -f {baseline.fold} "
        f"-tr {baseline.trainer} -c {baseline.configuration} -p {baseline.plans}"
    )
    if record is None:
        return command
    rules = "".join(
        f" -{name} {' '.join(f'{number:g}' for number in np.atleast_1d(value))}"
        for name, value in to_json(record.rules).items()
        if value != to_json(ComponentRules())[name]
    )
    return command + rules + ("" if record.mirroring else " --disable_tta")


def _as_donor(case: Case, patient: Patient, file: Path) -> PseudoCase:
    values = {entry.name: getattr(case, entry.name) for entry in fields(Case)}
    return PseudoCase(**{**values, "group": patient}, label_file=file)
