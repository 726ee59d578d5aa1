import hashlib

import numpy as np
import pytest

from nnunetv2_tf.standin.spheres import REGIONS, Spheres
from nnunetv2_tf.work import read_json
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
