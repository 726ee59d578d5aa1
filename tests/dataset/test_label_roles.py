import re

import pytest

from nnunetv2_tf.conversion.brats.labels import dataset_labels
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.label_roles import LabelRoles
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import write_json


def test_without_the_key_all_foreground_is_tumour():
    """The same where the key says other things only."""
    labels = {"background": 0, "a": 1}
    assert LabelRoles.of({"labels": labels, "tf": {"n4": True}}) == LabelRoles.of({"labels": labels})
    assert LabelRoles.of({"labels": {"background": 0, "a": 1, "b": 2, "ignore": 3}}) == LabelRoles((1, 2))


@pytest.mark.parametrize("source", ["2023-gli", "2024-gli"])  # the second's cavity is no tumour
@pytest.mark.parametrize("regions", [False, True])
def test_brats_in_classes_and_in_regions(source, regions):
    """ET over NCR over ED; ED is diffuse; the same where labels are overlapping regions."""
    expected = LabelRoles((1, 2, 3), (), priority=(3, 1, 2), diffuse=(2,))
    assert LabelRoles.of(dataset_labels([source], regions=regions)) == expected


def test_an_organ_by_name():
    labels = {"background": 0, "liver": 1, "tumour": 2, "vessel": 3}
    described = {"labels": labels, "tf": {"tumour": ["tumour"], "organ": ["liver", "vessel"]}}
    assert LabelRoles.of(described) == LabelRoles((2,), (1, 3))


@pytest.mark.parametrize(
    ("described", "sentence"),
    [
        ({"tumour": ["lesion"]}, "tf.tumour names lesion, which is none of the labels"),
        ({"organ": []}, "tf names no tumour"),
        ([], "tf must be an object"),
        ({"tumour": "tumour"}, "tf.tumour must be a list of labels' names, not 'tumour'"),
        ({"tumour": ["tumour"], "priority": "tumour"}, "tf.priority must be a list of labels' names"),
        ({"tumour": ["tumour"], "diffuse": ["oedema"]}, "tf.diffuse names oedema, which is none of the labels"),
        (
            {"tumour": ["tumour"], "organ": ["liver"], "diffuse": ["liver"]},
            "tf.diffuse names classes that are no tumour",
        ),
        ({"diffuse": ["oedema"]}, "tf.diffuse names oedema, which is none of the labels"),
        ({"tumour": None}, "tf.tumour must be a list"),
        ({"tumour": [["tumour"]]}, "tf.tumour must be a list"),
        ({"tumour": ["tumour"], "regions": []}, "tf.regions must be an object"),
    ],
)
def test_what_makes_no_sense_is_explained(described, sentence, tmp_path, monkeypatch):
    monkeypatch.setenv("nnUNet_raw", str(tmp_path))
    dataset = Dataset("Dataset501_X")
    labels = {"background": 0, "tumour": 1, "liver": 2}
    description = {"channel_names": {"0": "CT"}, "labels": labels, "file_ending": ".nii.gz", "tf": described}
    write_json(dataset.raw / "dataset.json", description)
    with pytest.raises(UserError, match=f"Dataset501_X/dataset.json: {re.escape(sentence)}.*; correct it"):
        LabelRoles.read(dataset)
