"""What guides give to be copied that is no command: the key `tf`, and a dataset with fewer channels."""

import json
import re

from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

from nnunetv2_tf.dataset.cases import channel_names, raw_cases
from nnunetv2_tf.dataset.folders import VARIABLES, Dataset
from nnunetv2_tf.dataset.label_roles import LabelRoles, regions
from nnunetv2_tf.standin.brains import Brains
from tests.documentation.blocks import example, text_of

CLASSES = {"background": 0, "necrosis": 1, "edema": 2, "enhancing": 3}
REGIONS = {"background": 0, "whole tumour": [1, 2, 3], "tumour core": [1, 3], "enhancing tumour": [3]}
LIVERS = {"background": 0, "liver": 1, "tumour": 2}


def keys() -> list[dict]:
    """The examples of key `tf` in the guide, in their order."""
    blocks = re.findall(r"^```json\n(.*?)^```", text_of("guide/brats"), re.M | re.S)
    texts = re.split(r'^(?="tf")', "".join(blocks), flags=re.M)
    return [json.loads(f"{{{text}}}") for text in texts if text]


def test_the_key_for_gliomas_for_livers_and_for_regions():
    gliomas, livers, overlapping = keys()
    assert LabelRoles.of({"labels": CLASSES, **gliomas}) == LabelRoles((1, 2, 3), (), priority=(3, 1, 2), diffuse=(2,))
    assert LabelRoles.of({"labels": LIVERS, **livers}) == LabelRoles((2,), (1,), priority=(2,))
    described = {"labels": REGIONS, "regions_class_order": [2, 1, 3], **overlapping}
    assert LabelRoles.of(described) == LabelRoles.of({"labels": CLASSES, **gliomas})
    assert regions(described) == {"whole tumour": (1, 2, 3), "tumour core": (1, 3), "enhancing tumour": (3,)}


def test_a_dataset_with_two_of_four_channels(tmp_path, monkeypatch):
    for variable in VARIABLES:
        monkeypatch.setenv(variable, str(tmp_path / variable))
    four = Brains(channel_names=("t1n", "t1c", "t2w", "t2f"))
    four.write_dataset(tmp_path / "nnUNet_raw" / "Dataset042_Glioma", 2, 0)
    exec(compile(example("guide/healthy_scans", "python"), "healthy_scans.md", "exec"), {})
    old, new = Dataset("Dataset042_Glioma"), Dataset("Dataset043_GliomaT1Flair")
    assert channel_names(new) == ("t1n", "t2f")
    assert len(raw_cases(new)) == 2
    for name, case in raw_cases(new).items():
        before = raw_cases(old)[name]
        assert [path.resolve() for path in case.images] == [before.images[0].resolve(), before.images[3].resolve()]
        assert case.label.resolve() == before.label.resolve()
    theirs = get_filenames_of_train_images_and_targets(str(new.raw))
    assert {name: len(entry["images"]) for name, entry in theirs.items()} == dict.fromkeys(raw_cases(new), 2)
