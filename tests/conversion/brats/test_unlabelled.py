"""BraTS folders without labels."""

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest

from nnunetv2_tf.commands import convert_brats as command
from nnunetv2_tf.conversion.brats.convert import convert_brats
from nnunetv2_tf.conversion.brats.dataset import ConvertBratsRequest
from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json
from nnunetv2_tf.working_space.unlabelled import is_unlabelled
from tests.conversion.releases import write_release

MORE = Dataset("Dataset602_More")


def convert(folder: Path, source: str, **changes) -> None:
    settings = {"sources": (source,), "unlabelled": True, **changes}
    convert_brats(ConvertBratsRequest((folder,), 602, "More", **settings))


def without_labels(folder: Path, source: str) -> set[str]:
    names = set(write_release(folder, source))
    if source == "msd":
        (folder / "imagesTr").rename(folder / "imagesTs")
    for path in (path for kind in ("*seg*", "*Segm*", "labelsTr/*") for path in folder.rglob(kind)):
        path.unlink()
    return names


def read(path: Path) -> np.ndarray:
    return np.asanyarray(nibabel.load(path).dataobj)  # type: ignore[attr-defined]


@pytest.mark.parametrize("source", ["brats2020", "2023-gli", "msd"])
def test_the_label_is_the_brain_and_the_dataset_says_that_there_may_be_tumour(nnunet: Path, source, capsys):
    names = without_labels(nnunet / "release", source)
    convert(nnunet / "release", source, modalities=("t1n", "t2f"))
    cases = raw_cases(MORE)
    assert set(cases) == names
    for case in cases.values():
        volumes = [read(path) for path in case.images]
        assert len(volumes) == 2
        assert np.array_equal(read(case.label), np.any(np.array(volumes) != 0, axis=0))
    description = read_json(MORE.raw / "dataset.json", "")
    assert description["labels"] == {"background": 0, "brain": 1}
    assert is_unlabelled(MORE)
    assert set(read_json(MORE.raw / "groups.json", "")) == names
    assert "nnUNetv2_tf_preprocess_healthy -d LABELLED -unlabelled 602" in capsys.readouterr().out


def test_labels_that_are_there_are_not_read(nnunet: Path):
    names = set(write_release(nnunet / "release", "2023-gli"))
    for path in (nnunet / "release").rglob("*seg*"):
        path.write_bytes(b"not it")
    convert(nnunet / "release", "2023-gli")
    assert set(raw_cases(MORE)) == names


def test_patients_and_sources_are_told_by_names_here_too(nnunet: Path):
    without_labels(nnunet / "release", "2023-ssa")
    convert_brats(ConvertBratsRequest((nnunet / "release",), 602, "More", unlabelled=True))
    assert set(read_json(MORE.raw / "groups.json", "").values()) == {"BraTS-SSA-00002", "BraTS-SSA-00007"}


def test_flat_folders_and_a_scan_stored_twice(nnunet: Path):
    names = without_labels(nnunet / "release", "2023-gli")
    flat = nnunet / "flat"
    flat.mkdir()
    for path in (nnunet / "release").rglob("*.nii.gz"):
        path.rename(flat / path.name)
    (flat / f"{min(names)}-t1n.nii").write_bytes(gzip.decompress((flat / f"{min(names)}-t1n.nii.gz").read_bytes()))
    convert(flat, "2023-gli")
    assert set(raw_cases(MORE)) == names


def test_a_case_without_its_first_image_stops_the_conversion(nnunet: Path):
    names = without_labels(nnunet / "release", "2023-gli")
    (nnunet / "release" / min(names) / f"{min(names)}-t1n.nii.gz").unlink()
    with pytest.raises(UserError, match=f"so {min(names)} has no t1n"):
        convert(nnunet / "release", "2023-gli")
    assert not MORE.raw.exists()


def test_bad_input_gets_a_sentence_and_leaves_nothing(nnunet: Path, capsys):
    (nnunet / "empty").mkdir()
    with pytest.raises(UserError, match="holds no case of 2023-gli; a case is a folder with an image"):
        convert(nnunet / "empty", "2023-gli")
    names = without_labels(nnunet / "release", "2023-gli")
    image = nnunet / "release" / min(names) / f"{min(names)}-t2f.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros((3, 3, 3)), np.eye(4)), image)  # type: ignore[attr-defined]
    with pytest.raises(UserError, match="t2f.nii.gz has shape"):
        convert(nnunet / "release", "2023-gli")
    image.unlink()
    with pytest.raises(UserError, match=f"so {min(names)} has no t2f"):
        convert(nnunet / "release", "2023-gli")
    for path in (nnunet / "release" / min(names)).iterdir():
        nibabel.save(nibabel.Nifti1Image(np.zeros((3, 3, 3)), np.eye(4)), path)  # type: ignore[attr-defined]
    with pytest.raises(UserError, match="holds nothing but 0"):
        convert(nnunet / "release", "2023-gli", modalities=("t1n",))
    assert not MORE.raw.exists()


def test_folds_and_regions_of_unlabelled_scans_are_refused(nnunet: Path, monkeypatch, capsys):
    for options in (["-labels", "regions"], ["-num_train", "1", "-num_val", "1"]):
        given = ["x", "-i", str(nnunet), "-d", "602", "-name", "More", "--unlabelled", *options]
        monkeypatch.setattr("sys.argv", given)
        assert command.main() == 2
        assert "have neither labels nor folds" in capsys.readouterr().err
