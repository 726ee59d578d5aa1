"""Orientation: what nnU-Net's reader turns by itself need not be turned before."""

import numpy as np
import pytest

from nnunetv2_tf.dataset.cases import CaseFiles
from nnunetv2_tf.dataset.provenance import CaseEntry
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.sets.checks import CaseRules, check_case
from nnunetv2_tf.standin.brains import Brains

RAS = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)
TILTED = (0.995, -0.0998, 0.0, 0.0998, 0.995, 0.0, 0.0, 0.0, 1.0)


def checked(tmp_path, direction: tuple[float, ...], reader: str | None):
    Brains().write_cases(tmp_path / "real", ["a"], seed=0)
    Brains(direction=direction).write_cases(tmp_path / "other", ["b"], seed=1)
    description = Brains().description(1) | ({"overwrite_image_reader_writer": reader} if reader else {})
    rules = CaseRules.of(description, tmp_path / "real" / "imagesTr" / "a_0000.nii.gz", masked=True)
    folder = tmp_path / "other"
    return check_case(rules, CaseFiles("b", (folder / "imagesTr/b_0000.nii.gz",), folder / "labelsTr/b.nii.gz"))


@pytest.mark.parametrize("reader", [None, "SimpleITKIO", "NibabelIO"])
def test_a_turned_case_is_refused(tmp_path, reader):
    sentences = checked(tmp_path, RAS, reader)
    assert isinstance(sentences, list)
    assert ["is turned against the real cases" in sentence for sentence in sentences] == [True]


@pytest.mark.parametrize("reader", ["NibabelIOWithReorient", "SimpleITKIOWithReorient"])
def test_a_reader_that_reorients_takes_it(tmp_path, reader):
    assert isinstance(checked(tmp_path, RAS, reader), CaseEntry)


def test_a_tilted_head_is_not_a_turned_one(tmp_path):
    assert isinstance(checked(tmp_path, TILTED, None), CaseEntry)


def test_the_entry_is_of_the_files(tmp_path):
    import hashlib

    entry = checked(tmp_path, Brains().direction, None)
    assert isinstance(entry, CaseEntry)
    data = (tmp_path / "other" / "labelsTr" / "b.nii.gz").read_bytes()
    assert entry.label_sha256 == hashlib.sha256(data).hexdigest()
    assert np.unique(entry.image_sha256).size == 1


def test_datasets_of_pictures_are_refused_honestly(tmp_path):
    from PIL import Image

    path = tmp_path / "a_0000.png"
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)
    description = {**Brains().description(1), "file_ending": ".png"}
    with pytest.raises(UserError, match="sets take volumes such as .nii.gz, and this dataset is made of pictures"):
        CaseRules.of(description, path, masked=True)
