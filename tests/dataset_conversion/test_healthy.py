"""Folders of healthy stand-ins as users have them, laid upon a labelled dataset by the command."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_tf.commands import convert_healthy
from nnunetv2_tf.dataset_conversion.dicom import read_series
from nnunetv2_tf.folders import VARIABLES, Dataset
from nnunetv2_tf.standin.brains import Brains, healthy
from nnunetv2_tf.work import read_json
from tests.dataset_conversion.series import write_series
from tests.workspace import tree

SIZE = {"shape": (36, 44, 36), "spacing": (4.6, 4.6, 4.6)}  # an adult's head, coarsely
PEOPLE = 3
COMMAND = ["-d", "601", "-name", "Healthy", "-reference", "501", "-np", "1"]


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A labelled dataset, and a BIDS folder of healthy people on another grid; not to be changed."""
    root = tmp_path_factory.mktemp("cohorts")
    Brains(**SIZE).write_dataset(root / "nnUNet_raw" / "Dataset501_Real", 6, seed=0)  # type: ignore[arg-type]
    cohort = healthy(shape=(40, 46, 38), spacing=(4.4, 4.3, 4.5))
    for index in range(PEOPLE):
        write_person(cohort, root / "bids", index)
    return root


def write_person(cohort: Brains, folder: Path, index: int) -> Path:
    image, _ = cohort.draw(np.random.default_rng(index))
    path = folder / f"sub-{index}" / "anat" / f"sub-{index}_T1w.nii.gz"
    cohort.write(image[0], path)
    return path


@pytest.fixture
def bids(cohorts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, to be changed, with the environment set to it."""
    for variable in VARIABLES:
        (tmp_path / variable).mkdir()
        monkeypatch.setenv(variable, str(tmp_path / variable))
    shutil.copytree(cohorts / "nnUNet_raw", tmp_path / "nnUNet_raw", dirs_exist_ok=True)
    shutil.copytree(cohorts / "bids", tmp_path / "bids")
    return tmp_path / "bids"


@pytest.fixture
def convert(bids: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs the command; options that are given twice count the second time."""

    def run(*options: object, folder: Path = bids) -> int:
        monkeypatch.setattr(
            "sys.argv", ["nnUNetv2_tf_convert_healthy", "-i", str(folder), *COMMAND, *map(str, options)]
        )
        return convert_healthy.main()

    return run


def made() -> Path:
    return Dataset("Dataset601_Healthy").raw


def test_a_folder_becomes_a_dataset_on_the_reference_grid(convert, bids):
    assert convert() == 0
    description = read_json(made() / "dataset.json", "")
    assert description["channel_names"] == {"0": "t1n"}
    assert description["labels"] == {"background": 0, "brain": 1}
    assert description["numTraining"] == PEOPLE
    real = sitk.ReadImage(str(next((made().parent / "Dataset501_Real" / "imagesTr").iterdir())))
    for index in range(PEOPLE):
        image = sitk.ReadImage(str(made() / "imagesTr" / f"sub-{index}_0000.nii.gz"))
        label = sitk.ReadImage(str(made() / "labelsTr" / f"sub-{index}.nii.gz"))
        for one in (image, label):
            assert one.GetSize() == real.GetSize()
            np.testing.assert_allclose(one.GetSpacing(), real.GetSpacing(), atol=1e-5)
            np.testing.assert_allclose(one.GetOrigin(), real.GetOrigin(), atol=1e-4)
            np.testing.assert_allclose(one.GetDirection(), real.GetDirection(), atol=1e-6)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(image) > 0, sitk.GetArrayFromImage(label) == 1)
    report = read_json(made() / "conversion_report.json", "")
    assert [(entry["case"], entry["status"]) for entry in report] == [(f"sub-{i}", "prepared") for i in range(PEOPLE)]
    assert all(entry["measures"]["after"] > entry["measures"]["before"] for entry in report)
    assert (made() / "contact_sheet.png").read_bytes().startswith(b"\x89PNG")
    record = read_json(made() / "prepared" / "sub-0.json", "")
    assert record["geometry_ancestors"] == [f"case_{index:03d}" for index in range(6)]


def test_what_is_there_stays_and_what_is_missing_or_changed_is_made(convert, bids):
    convert()
    first = tree(made())
    times = {path: path.stat().st_mtime_ns for path in (made() / "imagesTr").iterdir()}
    (made() / "imagesTr" / "sub-1_0000.nii.gz").unlink()
    (made() / "prepared" / "sub-2.json").unlink()  # as a kill leaves it
    assert convert("-np", 2) == 0
    assert tree(made()) == first
    remade = {path.name for path, time in times.items() if path.stat().st_mtime_ns != time}
    assert remade == {"sub-1_0000.nii.gz", "sub-2_0000.nii.gz"}
    scan = bids / "sub-0" / "anat" / "sub-0_T1w.nii.gz"
    shutil.copy(bids / "sub-1" / "anat" / "sub-1_T1w.nii.gz", scan)
    convert()
    after = tree(made() / "imagesTr")
    assert after["sub-0_0000.nii.gz"] == after["sub-1_0000.nii.gz"]


def test_outliers_are_left_out_unless_they_are_to_be_kept(convert, bids, capsys):
    write_person(healthy(shape=(40, 46, 38), spacing=(3.0, 3.0, 3.0)), bids, 7)  # a child's brain
    assert convert() == 0
    assert "outlier: sub-7: a brain of" in capsys.readouterr().out
    assert not (made() / "imagesTr" / "sub-7_0000.nii.gz").exists()
    assert (made() / "outliers" / "labelsTr" / "sub-7.nii.gz").exists()
    assert read_json(made() / "dataset.json", "")["numTraining"] == PEOPLE
    assert convert("--keep_outliers") == 0
    assert (made() / "imagesTr" / "sub-7_0000.nii.gz").exists()
    assert read_json(made() / "dataset.json", "")["numTraining"] == PEOPLE + 1


def test_a_dicom_tree_gives_the_voxels_of_the_nifti_files_and_no_names(convert, bids, tmp_path):
    for index in range(PEOPLE):
        scan = sitk.ReadImage(str(bids / f"sub-{index}" / "anat" / f"sub-{index}_T1w.nii.gz"))
        folder = tmp_path / "dicom" / "PPMI" / f"30{index}" / "MPRAGE" / "2011-01-20_10_00_00.0" / f"I{index}"
        write_series(scan, folder)
        read = sitk.GetArrayFromImage(read_series(folder))
        np.testing.assert_array_equal(read, sitk.GetArrayFromImage(scan))
    convert()
    from_nifti = images()
    shutil.rmtree(made())
    assert convert(folder=tmp_path / "dicom") == 0
    from_dicom = images()
    assert list(from_dicom) == [f"PPMI_30{index}_0000.nii.gz" for index in range(PEOPLE)]
    for one, other in zip(from_nifti.values(), from_dicom.values(), strict=True):  # DICOM rounds sizes elsewhere
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.99
    assert not any(b"Doe" in content or b"patient-number" in content for content in tree(made()).values())


def images() -> dict[str, np.ndarray]:
    return {
        path.name: sitk.GetArrayFromImage(sitk.ReadImage(str(path))) for path in sorted((made() / "imagesTr").iterdir())
    }


def damage(path: Path, how: str) -> None:
    image = sitk.ReadImage(str(path))
    array = sitk.GetArrayFromImage(image).astype(np.float32)
    if how == "cut":
        path.write_bytes(path.read_bytes()[:500])
        return
    if how == "text":
        path.write_text("not a scan", encoding="utf-8")
        return
    if how == "nan":
        array[20, 20, 20] = np.nan
    changed = {
        "nan": array, "empty": array * 0, "small": array[:8], "4d": np.stack([array, array]), "2d": array[:1],
        "half": array,
    }[how]  # fmt: skip
    result = sitk.GetImageFromArray(changed, isVector=False)
    if how == "half":
        result.SetSpacing((4.5, 4.3, 4.4))
        result = sitk.Crop(result, [0, 0, 22], [0, 0, 0])
    sitk.WriteImage(result, str(path))


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("cut", "cannot be read, it is damaged or cut short"),
        ("text", "cannot be read, it is damaged or cut short"),
        ("nan", "holds NaN or infinite values"),
        ("empty", "is empty, every voxel is 0"),
        ("small", "too few for a brain"),
        ("2d", "too few for a brain"),
        ("4d", "is no single 3D volume"),
        ("half", "is no healthy adult's"),
    ],
)
def test_one_bad_scan_does_not_stop_the_rest(convert, bids, capsys, how, sentence):
    damage(bids / "sub-1" / "anat" / "sub-1_T1w.nii.gz", how)
    assert convert() == (0 if how == "half" else 1)  # an outlier is left out, and no failure
    out = capsys.readouterr().out
    assert sentence in out
    assert f"{PEOPLE - 1} of {PEOPLE} scans are prepared" in out
    assert read_json(made() / "dataset.json", "")["numTraining"] == PEOPLE - 1
    assert not list((made() / "imagesTr").glob("sub-1*"))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["-i", "missing"], "missing does not exist or is no folder"),
        (["-layout", "ixi"], "holds no scan in layout ixi with t1n"),
        (["-layout", "folder"], "needs a pattern for t1n"),
        (["-glob", "t1n=x.nii.gz"], r"has no *, and what * stands for"),
        (["-glob", "t1n"], "-glob takes pairs like t1n=T1w, not 't1n'"),
        (["-channels", "t2f=FLAIR"], "-channels names t2f, and the reference has t1n"),
        (["-channels", "t1n=MP2RAGE"], "holds no scan in layout bids"),
        (["-where", "group=control"], "participants.tsv does not exist"),
        (["-session", "late"], "holds no scan in layout bids"),
        (["-reference", "777"], "There is no dataset 777"),
        (["-reference", "missing.nii.gz"], "missing.nii.gz does not exist"),
        (["-reference", "head.nii.gz"], "shows more than a brain"),
        (["-reference", "brain.nii.gz", "-f", "0"], "-f goes with a dataset as -reference"),
        (["-d", "501"], "There is a dataset Dataset501_Real already"),
        (["-d", "0"], "A dataset's number goes from 1 to 999"),
        (["-name", "a b"], "A dataset cannot be called 'a b'"),
        (["-strip", "synthstrip"], "-strip synthstrip needs synthstrip, which is not installed"),
    ],
)
def test_what_cannot_be_done_is_said(convert, bids, tmp_path, capsys, monkeypatch, options, sentence):
    monkeypatch.chdir(tmp_path)
    head = sitk.GetImageFromArray(np.ones((30, 30, 30), np.float32))
    sitk.WriteImage(head, str(tmp_path / "head.nii.gz"))
    before = set(tree(tmp_path / "nnUNet_raw"))
    assert convert(*options) == 2
    assert sentence in capsys.readouterr().err
    assert set(tree(tmp_path / "nnUNet_raw")) == before


def test_when_nothing_can_be_used(convert, bids, capsys):
    for index in range(PEOPLE):
        damage(bids / f"sub-{index}" / "anat" / f"sub-{index}_T1w.nii.gz", "cut")
    assert convert() == 2
    assert f"None of the {PEOPLE} scans" in capsys.readouterr().err
    assert not (made() / "dataset.json").exists()


def test_another_reference_does_not_continue_a_dataset(convert, capsys):
    convert()
    assert convert("-f", "0") == 2
    assert "was begun with" in capsys.readouterr().err
