"""Folders of healthy stand-ins as users have them, laid upon a labelled dataset by the command."""

import errno
import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_tf.conversion.healthy.dicom import read_series
from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.registration.affines import affines_file, ways_to_scans
from tests.conversion.people import PEOPLE, damage, made, research, scan_of, write_person
from tests.conversion.series import write_series
from tests.workspace import HEALTHY, tree

pytestmark = pytest.mark.slow


def test_a_folder_becomes_a_dataset_on_the_reference_grid(convert_again):
    description = read_json(made() / "dataset.json", "")
    assert description["channel_names"] == {"0": "t1n"}
    assert description["labels"] == {"background": 0, "brain": 1}
    assert description["numTraining"] == PEOPLE
    real = sitk.ReadImage(str(next((made().parent / "Dataset501_Real" / "imagesTr").iterdir())))
    for index in range(PEOPLE):
        image = sitk.ReadImage(str(made() / "imagesTr" / f"bids_sub-{index}_0000.nii.gz"))
        label = sitk.ReadImage(str(made() / "labelsTr" / f"bids_sub-{index}.nii.gz"))
        for one in (image, label):
            assert one.GetSize() == real.GetSize()
            np.testing.assert_allclose(one.GetSpacing(), real.GetSpacing(), atol=1e-5)
            np.testing.assert_allclose(one.GetOrigin(), real.GetOrigin(), atol=1e-4)
            np.testing.assert_allclose(one.GetDirection(), real.GetDirection(), atol=1e-6)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(image) > 0, sitk.GetArrayFromImage(label) == 1)
    report = read_json(made() / "conversion_report.json", "")
    assert [(entry["case"], entry["status"]) for entry in report] == [
        (f"bids_sub-{i}", "prepared") for i in range(PEOPLE)
    ]
    assert all(entry["measures"]["after"] > entry["measures"]["before"] for entry in report)
    assert (made() / "contact_sheet.png").read_bytes().startswith(b"\x89PNG")
    record = read_json(made() / "prepared" / "bids_sub-0.json", "")
    assert record["geometry_ancestors"] == [f"case_{index:03d}" for index in range(6)]


def test_what_is_there_stays_and_what_is_missing_or_changed_is_made(convert, bids):
    convert()
    first = tree(made())
    times = {path: path.stat().st_mtime_ns for path in (made() / "imagesTr").iterdir()}
    (made() / "imagesTr" / "bids_sub-1_0000.nii.gz").unlink()
    (made() / "prepared" / "bids_sub-2.json").unlink()  # as a kill leaves it
    spoilt = made() / "imagesTr" / "bids_sub-0_0000.nii.gz"
    spoilt.write_bytes(bytes(spoilt.stat().st_size))  # zeros of the right length, as a power cut may leave
    assert convert("-np", 2, "-reference", "Dataset501_Real/") == 0
    assert tree(made()) == first
    remade = {path.name for path, time in times.items() if path.stat().st_mtime_ns != time}
    assert remade == {"bids_sub-0_0000.nii.gz", "bids_sub-1_0000.nii.gz", "bids_sub-2_0000.nii.gz"}
    scan = scan_of(bids, 0)
    shutil.copy(scan_of(bids, 1), scan)
    convert()
    after = tree(made() / "imagesTr")
    assert after["bids_sub-0_0000.nii.gz"] == after["bids_sub-1_0000.nii.gz"]


def test_outliers_are_left_out_unless_they_are_to_be_kept(convert, bids, capsys):
    write_person(research(size=0.68), bids, 7)  # a child's brain
    assert convert() == 0
    assert "outlier: bids_sub-7: a brain of" in capsys.readouterr().out
    assert not (made() / "imagesTr" / "bids_sub-7_0000.nii.gz").exists()
    assert (made() / "left_out" / "labelsTr" / "bids_sub-7.nii.gz").exists()
    assert read_json(made() / "dataset.json", "")["numTraining"] == PEOPLE
    assert convert("--keep_outliers") == 0
    assert (made() / "imagesTr" / "bids_sub-7_0000.nii.gz").exists()
    assert read_json(made() / "dataset.json", "")["numTraining"] == PEOPLE + 1


def test_a_dicom_tree_gives_the_voxels_of_the_nifti_files_and_no_names(convert_again, cohorts, tmp_path):
    for index in range(PEOPLE):
        scan = sitk.ReadImage(str(scan_of(cohorts / "bids", index)))
        folder = tmp_path / "dicom" / "PPMI" / f"30{index}" / "MPRAGE" / "2011-01-20_10_00_00.0" / f"I{index}"
        write_series(scan, folder)
        read = sitk.GetArrayFromImage(read_series(folder))
        np.testing.assert_array_equal(read, sitk.GetArrayFromImage(scan))
    from_nifti = images()
    shutil.rmtree(made())
    assert convert_again(folders=[tmp_path / "dicom"]) == 0
    from_dicom = images()
    assert list(from_dicom) == [f"PPMI_30{index}_0000.nii.gz" for index in range(PEOPLE)]
    times = {path: path.stat().st_mtime_ns for path in (made() / "imagesTr").iterdir()}
    for series in (tmp_path / "dicom").rglob("I0"):
        (series / ".DS_Store").write_bytes(b"as Finder leaves it")
    assert convert_again(folders=[tmp_path / "dicom"]) == 0
    assert {path: path.stat().st_mtime_ns for path in times} == times
    for one, other in zip(from_nifti.values(), from_dicom.values(), strict=True):  # DICOM rounds sizes elsewhere
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.99
    for path in made().rglob("*"):
        if path.is_file():
            content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            assert b"Doe" not in content
            assert b"patient-number" not in content


def images() -> dict[str, np.ndarray]:
    return {
        path.name: sitk.GetArrayFromImage(sitk.ReadImage(str(path))) for path in sorted((made() / "imagesTr").iterdir())
    }


def test_another_reference_does_not_continue_a_dataset(convert_again, capsys):
    assert convert_again("-f", "0") == 2
    assert "was begun with" in capsys.readouterr().err


def test_the_dataset_holds_what_the_last_command_found(convert_again, cohorts, tmp_path, capsys):
    """More folders may come, none may go; people who are not asked for any more are kept, but not in the dataset."""
    write_person(research(), tmp_path / "more", 0)
    bids, more = cohorts / "bids", tmp_path / "more"
    everybody = {f"bids_sub-{index}" for index in range(PEOPLE)} | {"more_sub-0"}
    assert convert_again(folders=[bids, more]) == 0
    assert labelled() == everybody
    assert convert_again() == 2
    assert f"holds the scans of {more} too; name that folder after -i as well" in capsys.readouterr().err
    (tmp_path / "people.txt").write_bytes(b"# two of them\nsub-1\n2\n")
    assert convert_again("-subjects", tmp_path / "people.txt", folders=[bids, more]) == 0
    assert labelled() == {"bids_sub-1", "bids_sub-2"}
    assert "2 scans of earlier runs are not among these" in capsys.readouterr().out
    assert read_json(made() / "dataset.json", "")["numTraining"] == 2
    damage(scan_of(more, 0), "nan")
    assert convert_again(folders=[bids, more]) == 1
    assert labelled() == everybody - {"more_sub-0"}


def labelled() -> set[str]:
    images = {path.name.removesuffix("_0000.nii.gz") for path in (made() / "imagesTr").iterdir()}
    assert images == {path.name.removesuffix(".nii.gz") for path in (made() / "labelsTr").iterdir()}
    return images


def test_real_scans_on_grids_of_their_own_get_an_affine_and_stay_as_they_are(convert):
    real = Dataset("Dataset501_Real")
    for file in (real.raw / "imagesTr" / "case_002_0000.nii.gz", real.raw / "labelsTr" / "case_002.nii.gz"):
        image = sitk.ReadImage(str(file))
        image.SetOrigin((7.0, -9.0, 4.0))
        sitk.WriteImage(image, str(file))
    before = tree(real.raw)
    assert convert("-strip", "none") == 0
    assert tree(real.raw) == before

    affines = ways_to_scans(real, HEALTHY, raw_cases(real))
    assert list(affines) == ["case_002"]
    moved = affines["case_002"] @ np.array([10.0, 20.0, 30.0, 1.0])
    assert np.linalg.norm(moved[:3] - [17.0, 11.0, 34.0]) < 25  # people differ in size, not by so much
    written = affines_file(real, None).stat().st_mtime_ns
    convert("-strip", "none")
    assert affines_file(real, None).stat().st_mtime_ns == written
    for file in (real.raw / "imagesTr" / "case_002_0000.nii.gz", real.raw / "labelsTr" / "case_002.nii.gz"):
        image = sitk.ReadImage(str(file))
        image.SetOrigin((0.0, 0.0, 0.0))
        sitk.WriteImage(sitk.DICOMOrient(image, "RAS"), str(file))  # where the others are, stored otherwise
    with pytest.raises(UserError, match="The files of case_002 have changed since they were laid upon the reference"):
        ways_to_scans(real, HEALTHY, raw_cases(real))
    convert("-strip", "none", "-d", 602)
    assert ways_to_scans(real, HEALTHY, raw_cases(real)) == {}
    for end in ("imagesTr/case_{}_0000.nii.gz", "labelsTr/case_{}.nii.gz"):
        image = sitk.ReadImage(str(real.raw / end.format("001")))
        image.SetOrigin((5.0, 5.0, 5.0))
        sitk.WriteImage(image, str(real.raw / end.format("099")))
    with pytest.raises(
        UserError, match="Nobody has laid .*case_099_0000.nii.gz upon the reference of .*; run nnUNetv2"
    ):
        ways_to_scans(real, HEALTHY, raw_cases(real))


@pytest.mark.parametrize("affine", [[1], [0] * 16, ["a"] * 16, [float("inf")] * 16, None])
def test_damaged_affines_are_refused(convert_again, affine):
    real = Dataset("Dataset501_Real")
    entry = {"case_002": {"affine": affine, "scan": "x"}}
    affines_file(real, None).write_text(json.dumps({"complete": True, "affines": entry}), encoding="utf-8")
    with pytest.raises(UserError, match="does not hold one affine of 16 numbers per case"):
        ways_to_scans(real, HEALTHY, raw_cases(real))


def test_one_scan_that_is_gone_or_locked_does_not_stop_the_rest(convert, bids, capsys):
    convert()
    scan_of(bids, 0).unlink()
    scan_of(bids, 0).symlink_to(bids / "unplugged.nii.gz")
    assert convert() == 1
    assert "unusable: bids_sub-0" in capsys.readouterr().out
    assert labelled() == {"bids_sub-1", "bids_sub-2"}


def test_nobody_wanted_leaves_the_dataset_alone(convert_again, tmp_path, capsys):
    before = tree(made())
    (tmp_path / "people.txt").write_bytes(b"sub-77\n")
    assert convert_again("-subjects", tmp_path / "people.txt") == 2
    assert "no complete scan of anybody who is wanted. 77: it is listed in -subjects and not found" in (
        capsys.readouterr().err
    )
    assert tree(made()) == before


def test_both_cohorts_are_corrected_or_none(convert, capsys):
    path = Dataset("Dataset501_Real").raw / "dataset.json"
    value = read_json(path, "")
    value["tf"]["n4"] = True
    write_json(path, value)
    assert convert() == 2
    assert "The bias field of Dataset501_Real is corrected; treat the healthy scans alike, with -n4" in (
        capsys.readouterr().err
    )


@pytest.mark.exhaustive
def test_scans_are_corrected_as_the_cohort_is(convert):
    path = Dataset("Dataset501_Real").raw / "dataset.json"
    value = read_json(path, "")
    value["tf"]["n4"] = True
    write_json(path, value)
    assert convert("-n4") == 0
    assert labelled() == {f"bids_sub-{index}" for index in range(PEOPLE)}


def test_a_dataset_whose_first_file_could_not_be_written_does_not_block_its_number(convert, monkeypatch, capsys):
    full = OSError(errno.ENOSPC, "full")

    def fail(path: Path, value: object) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        raise full

    with monkeypatch.context() as patch:
        patch.setattr("nnunetv2_tf.conversion.healthy.convert.write_json", fail)
        assert convert() == 2
    assert "no space is left" in capsys.readouterr().err
    assert convert() == 0
