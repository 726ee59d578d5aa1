import pytest

from nnunetv2_tf.errors import UserError
from nnunetv2_tf.labels import dataset_labels
from nnunetv2_tf.meaning import Meaning


def test_without_the_key_all_foreground_is_tumour():
    assert Meaning.of({"labels": {"background": 0, "a": 1, "b": 2, "ignore": 3}}) == Meaning((1, 2))


def test_brats_in_classes_and_in_regions():
    assert Meaning.of(dataset_labels(["2023-gli"], regions=False)) == Meaning((1, 2, 3))
    assert Meaning.of(dataset_labels(["2023-gli"], regions=True)) == Meaning((1, 2, 3))
    assert Meaning.of(dataset_labels(["2024-gli"], regions=False)) == Meaning((1, 2, 3))  # the cavity is no tumour
    assert Meaning.of(dataset_labels(["2024-gli"], regions=True)) == Meaning((1, 2, 3))


def test_an_organ_by_name():
    labels = {"background": 0, "liver": 1, "tumour": 2, "vessel": 3}
    described = {"labels": labels, "tf": {"tumour": ["tumour"], "organ": ["liver", "vessel"]}}
    assert Meaning.of(described) == Meaning((2,), (1, 3))


def test_names_that_are_no_labels_are_refused():
    with pytest.raises(UserError, match="tf.tumour names lesion, which is none of its labels"):
        Meaning.of({"labels": {"background": 0, "tumour": 1}, "tf": {"tumour": ["lesion"]}})
    with pytest.raises(UserError, match="its key tf names no tumour"):
        Meaning.of({"labels": {"background": 0, "tumour": 1}, "tf": {}})
