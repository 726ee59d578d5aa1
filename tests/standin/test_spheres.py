import hashlib

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_tf.errors import UserError
from nnunetv2_tf.folders import Dataset
from nnunetv2_tf.standin.foreign import write_foreign_cases
from nnunetv2_tf.standin.spheres import REGIONS, Spheres, new_dataset
from nnunetv2_tf.work import read_json, write_json
from tests.workspace import tree


@pytest.mark.parametrize("seed", [0, 1])
def test_a_tumour_in_a_brain_on_exact_zeros(seed):
    image, label = Spheres(channel_names=("t1n", "t2f")).draw(np.random.default_rng(seed))
    assert (image.shape, image.dtype) == ((2, 32, 40, 36), np.int16)
    assert set(np.unique(label)) == {0, 1, 2, 3}
    assert (image == 0).mean() > 0.5
    assert image.min() == 0
    assert (image[:, label > 0] > 0).all()
    means = [image[0][label == value].mean() for value in (1, 2, 3)]
    assert means == sorted(means)


def test_same_seed_same_bytes_and_cases_depend_on_their_index_only(tmp_path):
    Spheres().write_dataset(tmp_path / "a", 3, seed=4)
    Spheres().write_dataset(tmp_path / "b", 3, seed=4)
    Spheres().write_dataset(tmp_path / "longer", 4, seed=4)
    a, b, longer = (tree(tmp_path / name) for name in ("a", "b", "longer"))
    assert a == b
    assert {name: data for name, data in a.items() if name != "dataset.json"}.items() <= longer.items()
    images = {hashlib.sha256(data).hexdigest() for name, data in longer.items() if name.startswith("images")}
    assert len(images) == 4


def test_descriptions(tmp_path):
    Spheres(labels=REGIONS, ignore=4).write_dataset(tmp_path, 1, seed=0)
    description = read_json(tmp_path / "dataset.json", "")
    assert description["labels"]["ignore"] == 4
    assert description["regions_class_order"] == [2, 1, 3]
    assert "regions_class_order" not in Spheres().description(1)


def test_stand_ins_never_join_an_existing_dataset(tmp_path, monkeypatch):
    monkeypatch.setenv("nnUNet_raw", str(tmp_path))
    new_dataset(Dataset("Dataset999_Spheres"), 1, seed=0)
    before = tree(tmp_path)
    with pytest.raises(UserError, match="exists already, and stand-ins would be mixed with it"):
        new_dataset(Dataset("Dataset999_Spheres"), 2, seed=1)
    with pytest.raises(UserError, match="'foo' is no name for a dataset"):
        new_dataset(Dataset("foo"), 1, seed=0)
    assert tree(tmp_path) == before


def test_foreign_stand_ins_are_like_their_dataset(tmp_path, monkeypatch):
    for name in ("nnUNet_raw", "nnUNet_preprocessed"):
        monkeypatch.setenv(name, str(tmp_path / name))
    dataset = Dataset("Dataset502_Liver")
    turned = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)
    source = Spheres(channel_names=("a", "b"), labels={"background": 0, "liver": 1, "tumour": 2}, direction=turned)
    source.write_dataset(dataset.raw, 5, seed=0)
    write_foreign_cases(dataset, 0, tmp_path / "foreign", 1, seed=0)
    assert len(list(tmp_path.glob("foreign/imagesTr/*"))) == 2
    label = sitk.ReadImage(str(tmp_path / "foreign/labelsTr/synthetic_0000.nii.gz"))
    assert set(np.unique(sitk.GetArrayFromImage(label))) == {0, 1, 2}
    assert label.GetDirection() == turned
    description = read_json(dataset.raw / "dataset.json", "")
    write_json(dataset.raw / "dataset.json", {**description, "file_ending": ".nrrd"})
    with pytest.raises(UserError, match="holds no training case"):
        write_foreign_cases(dataset, 0, tmp_path / "other", 1, seed=0)
