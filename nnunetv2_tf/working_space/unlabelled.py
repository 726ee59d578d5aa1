"""Datasets of unlabelled scans, which may show tumours. In: one, a labelled dataset, a fold. Out: no leak, or why.

They look like healthy datasets, whose label is the organ, and are preprocessed as those are. Methods may learn from
them, but not from scans of somebody who validates.
"""

from collections.abc import Mapping
from typing import NoReturn

from nnunetv2_tf.dataset.cases import CaseFiles, raw_cases, says_of_itself
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.folds import Groups, Patient, check_known_cases, fold_split, known_as
from nnunetv2_tf.dataset.volumes import read_nifti, voxel_digest
from nnunetv2_tf.io.arguments import Fold
from nnunetv2_tf.io.digests import file_digest
from nnunetv2_tf.io.errors import UserError

NIFTI = (".nii", ".nii.gz")


def is_unlabelled(dataset: Dataset) -> bool:
    """Return whether a dataset says of itself that its scans may show tumours that nobody has labelled."""
    return says_of_itself(dataset, "unlabelled")


def check_healthy(healthy: Dataset) -> None:
    """Raise when a dataset that is to be of healthy scans says that it is not."""
    if is_unlabelled(healthy):
        raise UserError(
            f"{healthy.name} holds unlabelled scans, which may show tumours (tf, unlabelled in its dataset.json); give "
            "it as -unlabelled, and healthy scans as -healthy."
        )


def check_same_bias_field(dataset: Dataset, unlabelled: Dataset) -> None:
    """Raise when the bias field is corrected in one of both only, as far as they say."""
    corrected = [says_of_itself(each, "n4") for each in (dataset, unlabelled)]
    if corrected[0] is not corrected[1]:
        with_n4, without = (dataset, unlabelled) if corrected[0] else (unlabelled, dataset)
        raise UserError(
            f"The bias field of {with_n4.name} is corrected, and that of {without.name} is not; convert both alike, "
            "with -n4 or without."
        )


def check_patients(dataset: Dataset, unlabelled: Dataset, fold: Fold) -> None:
    """Raise when an unlabelled scan is of a patient who validates in the fold, by groups.json and names of cases."""
    groups, patients, scans = Groups.read(dataset), patients_in(unlabelled), raw_cases(unlabelled)
    validating = {case: groups[case] for case in _validating(dataset, fold)}
    for name, scan in scans.items():
        case = known_as(name, patients[name], validating)
        if case is not None:
            _refuse(dataset, unlabelled, fold, case, name, scan)


def check_copies(dataset: Dataset, unlabelled: Dataset, fold: Fold) -> None:
    """Raise when an unlabelled scan is a copy of one that validates in the fold, voxel by voxel; reads all of them."""
    files = raw_cases(dataset)
    digests = {_digest(files[case]): case for case in _validating(dataset, fold)}
    for name, scan in raw_cases(unlabelled).items() if digests else ():
        same = digests.get(_digest(scan))
        if same is not None:
            _refuse(dataset, unlabelled, fold, same, name, scan)


def patients_in(unlabelled: Dataset) -> dict[str, Patient]:
    """Return who the scans are of."""
    groups = Groups.read(unlabelled)
    return {name: groups[name] for name in raw_cases(unlabelled)}


def named_in(unlabelled: Dataset, patients: Mapping[str, Patient]) -> dict[str, Patient]:
    """Return patients by dataset and scan, as sidecars name them."""
    return {f"{unlabelled.name}/{name}": patient for name, patient in patients.items()}


def _validating(dataset: Dataset, fold: Fold) -> tuple[str, ...]:
    if fold == "all":
        return ()
    files = raw_cases(dataset)
    validating = fold_split(dataset, fold, files).val
    check_known_cases(validating, files, dataset)
    return validating


def _refuse(dataset: Dataset, unlabelled: Dataset, fold: Fold, case: str, name: str, scan: CaseFiles) -> NoReturn:
    raise UserError(
        f"{scan.images[0]} of {unlabelled.name} is the scan, or of the patient, of {case}, which validates in fold "
        f"{fold} of {dataset.name}; take {name} out of {unlabelled.name}."
    )


def _digest(case: CaseFiles) -> str:
    """Return a digest of a case's first image, by its voxels where it is NIfTI, else by its bytes."""
    path = case.images[0]
    return voxel_digest(read_nifti(path)) if path.name.endswith(NIFTI) else file_digest(path)
