"""Cases are listed as nnU-Net lists them."""

from pathlib import Path

import pytest
from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import write_json

DESCRIPTION = {
    "channel_names": {"0": "t1n", "1": "t1c"}, "labels": {"background": 0, "tumour": 1}, "file_ending": ".nii.gz",
}  # fmt: skip


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    monkeypatch.setenv("nnUNet_raw", str(tmp_path))
    dataset = Dataset("Dataset501_X")
    for name in ("b_1_0000.nii.gz", "b_1_0001.nii.gz", "a.b_0001.nii.gz", "a.b_0000.nii.gz"):
        (dataset.raw / "imagesTr").mkdir(parents=True, exist_ok=True)
        (dataset.raw / "imagesTr" / name).touch()
    write_json(dataset.raw / "dataset.json", DESCRIPTION)
    return dataset


def same_as_nnunet(dataset: Dataset) -> bool:
    theirs = get_filenames_of_train_images_and_targets(str(dataset.raw))
    ours = {
        name: {"images": [str(path) for path in case.images], "label": str(case.label)}
        for name, case in raw_cases(dataset).items()
    }
    assert list(ours) == sorted(ours)
    return ours == theirs


def test_in_images_tr(dataset: Dataset):
    assert list(raw_cases(dataset)) == ["a.b", "b_1"]
    assert same_as_nnunet(dataset)


def test_named_in_dataset_json(dataset: Dataset, monkeypatch):
    monkeypatch.setenv("SCANS", str(dataset.raw.parent / "scans"))
    listed = {
        "x": {"images": ["$SCANS/x_t1.nii.gz", "../elsewhere/x_t2.nii.gz"], "label": "labelsTr/x.nii.gz"},
        "a": {"images": ["/data/a.nii.gz"], "label": "/data/a_seg.nii.gz"},
    }
    write_json(dataset.raw / "dataset.json", {**DESCRIPTION, "dataset": listed})
    assert same_as_nnunet(dataset)


def test_nothing_there(dataset: Dataset):
    for path in (dataset.raw / "imagesTr").iterdir():
        path.unlink()
    with pytest.raises(UserError, match="holds no training case"):
        raw_cases(dataset)
    (dataset.raw / "imagesTr").rmdir()
    with pytest.raises(UserError, match="has no folder imagesTr"):
        raw_cases(dataset)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"channel_names": {"1": "t1n"}}, "channel_names must be an object with the keys 0, 1, ..."),
        ({"labels": ["tumour"]}, "labels must be an object"),
        ({"file_ending": 3}, "file_ending must be a text like .nii.gz"),
        ({"dataset": ["a"]}, "dataset must be an object"),
        ({"dataset": {"../a": {"images": ["a"], "label": "b"}}}, "dataset: '../a' cannot be the name of a file"),
        ({"dataset": {"a": {"images": "a", "label": "b"}}}, "dataset: 'a' must have a list of images"),
        ({"dataset": {"a": {"images": ["a"]}}}, "dataset: 'a' must have a label"),
    ],
)
def test_what_no_dataset_json_says(dataset: Dataset, changed, said):
    write_json(dataset.raw / "dataset.json", {**DESCRIPTION, **changed})
    with pytest.raises(UserError, match=f"{said}; correct it, as nnU-Net's documentation"):
        raw_cases(dataset)
