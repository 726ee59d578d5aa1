"""Who may not be among unlabelled scans."""

import shutil

import nibabel
import numpy as np
import pytest
import SimpleITK

from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.folds import fold_split
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.standin.brains import healthy
from nnunetv2_tf.working_space.unlabelled import (
    check_copies,
    check_healthy,
    check_patients,
    check_same_bias_field,
    is_unlabelled,
)
from tests.workspace import Workspace

MORE = Dataset("Dataset602_More")


@pytest.fixture
def both(workspace: Workspace) -> Workspace:
    healthy().write_dataset(MORE.raw, 2, seed=6, prefix="scan")
    return workspace


def validating(workspace: Workspace) -> str:
    return fold_split(workspace.dataset, 0, raw_cases(workspace.dataset)).val[0]


def test_a_dataset_says_that_it_is_unlabelled(both: Workspace):
    check_healthy(MORE)
    assert not is_unlabelled(MORE)
    path = MORE.raw / "dataset.json"
    write_json(path, read_json(path, "") | {"tf": {"unlabelled": True}})
    assert is_unlabelled(MORE)
    with pytest.raises(UserError, match="602_More holds unlabelled scans.*give it as -unlabelled"):
        check_healthy(MORE)


def test_strangers_pass(both: Workspace):
    check_patients(both.dataset, MORE, 0)
    check_copies(both.dataset, MORE, 0)


def test_somebody_who_validates_is_refused_and_somebody_who_trains_is_not(both: Workspace):
    case, train = validating(both), fold_split(both.dataset, 0, raw_cases(both.dataset)).train[0]
    write_json(both.dataset.raw / "groups.json", {case: "patient 1", train: "patient 2"})
    write_json(MORE.raw / "groups.json", {"scan_001": "patient 2"})
    check_patients(both.dataset, MORE, 0)
    write_json(MORE.raw / "groups.json", {"scan_001": "patient 1"})
    with pytest.raises(UserError, match=f"scan_001_0000.nii.gz of .* is the scan, or of the patient, of {case}"):
        check_patients(both.dataset, MORE, 0)
    check_patients(both.dataset, MORE, "all")


@pytest.mark.parametrize("whose", ["labelled", "unlabelled"])
def test_where_one_dataset_has_no_groups_names_tell(both: Workspace, whose):
    case = validating(both)
    if whose == "labelled":
        write_json(both.dataset.raw / "groups.json", {case: "scan"})  # scan_000 and scan_001 are called like it
    else:
        write_json(MORE.raw / "groups.json", {"scan_001": case})
    with pytest.raises(UserError, match=f"of the patient, of {case}, which validates"):
        check_patients(both.dataset, MORE, 0)
    write_json(MORE.raw / "groups.json", {"scan_000": "somebody", "scan_001": "else"})
    check_patients(both.dataset, MORE, 0)


def test_a_scan_of_the_same_name_is_refused(both: Workspace):
    case = validating(both)
    for folder, ending in (("imagesTr", "_0000.nii.gz"), ("labelsTr", ".nii.gz")):
        (MORE.raw / folder / f"scan_000{ending}").rename(MORE.raw / folder / f"{case}{ending}")
    with pytest.raises(UserError, match=f"{case}_0000.nii.gz of .* is the scan"):
        check_patients(both.dataset, MORE, 0)


@pytest.mark.parametrize("corrected", ["labelled", "unlabelled"])
def test_bias_fields_are_corrected_in_both_or_in_none(both: Workspace, corrected):
    check_same_bias_field(both.dataset, MORE)
    path = (both.dataset if corrected == "labelled" else MORE).raw / "dataset.json"
    write_json(path, read_json(path, "") | {"tf": {"n4": True}})
    with pytest.raises(UserError, match="is corrected, and that of .* is not; convert both alike"):
        check_same_bias_field(both.dataset, MORE)


def test_a_turned_copy_of_a_scan_that_validates_is_refused(both: Workspace):
    case = validating(both)
    scan = nibabel.load(raw_cases(both.dataset)[case].images[0])  # type: ignore[attr-defined]
    turned = nibabel.as_closest_canonical(scan).as_reoriented(np.array([[0, -1], [1, -1], [2, 1]]))  # type: ignore[attr-defined]
    nibabel.save(turned, MORE.raw / "imagesTr" / "scan_000_0000.nii.gz")  # type: ignore[attr-defined]
    check_patients(both.dataset, MORE, 0)
    with pytest.raises(UserError, match=f"scan_000_0000.nii.gz .*{case}, which validates in fold 0.*take scan_000 out"):
        check_copies(both.dataset, MORE, 0)


def test_so_is_a_copy_in_a_format_other_than_nifti(both: Workspace):
    for dataset in (both.dataset, MORE):
        for path in [*dataset.raw.glob("imagesTr/*.nii.gz"), *dataset.raw.glob("labelsTr/*.nii.gz")]:
            SimpleITK.WriteImage(SimpleITK.ReadImage(str(path)), str(path).replace(".nii.gz", ".nrrd"))
            path.unlink()
        description = read_json(dataset.raw / "dataset.json", "")
        write_json(dataset.raw / "dataset.json", {**description, "file_ending": ".nrrd"})
    check_copies(both.dataset, MORE, 0)
    case = validating(both)
    shutil.copy(raw_cases(both.dataset)[case].images[0], MORE.raw / "imagesTr" / "scan_001_0000.nrrd")
    with pytest.raises(UserError, match=f"scan_001_0000.nrrd .*{case}, which validates in fold 0"):
        check_copies(both.dataset, MORE, 0)
