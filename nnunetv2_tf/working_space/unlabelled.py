"""Datasets of unlabelled scans, which may show tumours. In: one, a labelled dataset, a fold. Out: no leak, or why.

They look like healthy datasets, whose label is the organ, and are preprocessed as those are. Methods may learn from
them, but not from scans of somebody who validates.
"""

from nnunetv2_tf.dataset.cases import CaseFiles, dataset_json, raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.folds import Groups, fold_split
from nnunetv2_tf.dataset.volumes import read_nifti, voxel_digest
from nnunetv2_tf.io.arguments import Fold
from nnunetv2_tf.io.errors import UserError

NIFTI = (".nii", ".nii.gz")


def is_unlabelled(dataset: Dataset) -> bool:
    """Return whether a dataset says of itself that its scans may show tumours that nobody has labelled."""
    described = dataset_json(dataset).get("tf", {})
    return isinstance(described, dict) and described.get("unlabelled") is True


def check_healthy(healthy: Dataset) -> None:
    """Raise when a dataset that is to be of healthy scans says that it is not."""
    if is_unlabelled(healthy):
        raise UserError(
            f"{healthy.name} holds unlabelled scans, which may show tumours (tf, unlabelled in its dataset.json); give "
            "it as -unlabelled, and healthy scans as -healthy."
        )


def check_nobody_validates(dataset: Dataset, unlabelled: Dataset, fold: Fold) -> None:
    """Raise when an unlabelled scan is of a patient who validates in the fold, or a copy of such a patient's scan."""
    if fold == "all":
        return
    files, others = raw_cases(dataset), raw_cases(unlabelled)
    validating = fold_split(dataset, fold, files).val
    groups, other_groups = Groups.read(dataset), Groups.read(unlabelled)
    patients = {groups[case]: case for case in validating}
    digests = {_digest(files[case]): case for case in validating}
    for name, scan in others.items():
        same = patients.get(other_groups[name]) or digests.get(_digest(scan))
        if same is not None:
            raise UserError(
                f"{scan.images[0]} of {unlabelled.name} is the scan, or of the patient, of {same}, which validates "
                f"in fold {fold} of {dataset.name}; take {name} out of {unlabelled.name}."
            )


def _digest(case: CaseFiles) -> str:
    """Return a digest of a case's first image, by its voxels where it is NIfTI."""
    path = case.images[0]
    return voxel_digest(read_nifti(path)) if path.name.endswith(NIFTI) else str(path.resolve())
