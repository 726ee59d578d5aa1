"""The tables of BraTS' numbers, each against what its citation says, written down a second time by hand."""

import re
from typing import Any

import numpy as np
import pytest
from nnunetv2.utilities.label_handling.label_handling import LabelManager

from nnunetv2_tf.conversion.brats.labels import OURS, SOURCES, dataset_labels, from_ours, source_named, to_ours
from nnunetv2_tf.io.errors import UserError

UNTIL_2021 = {0: 0, 1: 1, 2: 2, 4: 3}
SINCE_2023 = {0: 0, 1: 1, 2: 2, 3: 3}
TABLES = {
    **dict.fromkeys(("brats2018", "brats2019", "brats2020", "brats2021"), UNTIL_2021),
    **dict.fromkeys(("2023-gli", "2023-ssa", "2023-ped", "2023-men", "2023-met"), SINCE_2023),
    "2024-gli": {**SINCE_2023, 4: 4},
    "2024-ped": {0: 0, 1: 3, 2: 1, 3: 1, 4: 2},
    "msd": {0: 0, 1: 2, 2: 1, 3: 3},
}


@pytest.mark.parametrize("name", SOURCES)
def test_every_table(name):
    theirs = np.array(list(TABLES[name]), np.uint8)
    assert to_ours(theirs, SOURCES[name]).tolist() == list(TABLES[name].values())
    ours = np.unique(list(TABLES[name].values()))
    assert to_ours(from_ours(ours, SOURCES[name]), SOURCES[name]).tolist() == ours.tolist()
    cited = SOURCES[name].citation.rpartition(": ")[2]
    assert {int(value) for value in re.findall(r"\b\d\b", cited)} == set(SOURCES[name].values)


def test_four_means_three_different_things():
    four = np.array([4])
    meanings = [int(to_ours(four, SOURCES[name])[0]) for name in ("brats2021", "2024-gli", "2024-ped")]
    assert meanings == [OURS["ET"], OURS["RC"], OURS["ED"]]


@pytest.mark.parametrize(("name", "value"), [("2023-gli", 4), ("brats2021", 3), ("msd", 4), ("2023-ssa", 1.5)])
def test_values_a_source_lacks_are_never_guessed(name, value):
    with pytest.raises(ValueError, match=f"^{value:g}$"):
        to_ours(np.array([0, value]), SOURCES[name])
    with pytest.raises(ValueError, match="^4$"):
        from_ours(np.array([4]), SOURCES["2023-gli"])


def test_names_of_sources():
    assert source_named("2021") == "brats2021"
    assert source_named("2023-gli") == "2023-gli"
    with pytest.raises(UserError, match="no source '2023'; choose from brats2018"):
        source_named("2023")


@pytest.mark.parametrize(("sources", "cavity"), [(["2023-gli", "msd"], False), (["2023-gli", "2024-gli"], True)])
def test_nnunet_understands_classes_and_regions(sources, cavity):
    """Regions are written back to the same label map by nnU-Net's own rule."""
    classes = dataset_labels(sources, regions=False)
    assert classes["labels"] == {"background": 0, "NCR": 1, "ED": 2, "ET": 3, **({"RC": 4} if cavity else {})}
    regions: dict[str, Any] = dataset_labels(sources, regions=True)
    manager = LabelManager(regions["labels"], regions["regions_class_order"])
    label = np.arange(5 if cavity else 4)[None, None]
    probabilities = np.stack([np.isin(label, region) for region in manager.foreground_regions]).astype(np.float32)
    assert manager.convert_probabilities_to_segmentation(probabilities).tolist() == label.tolist()
    assert regions["tf"] == classes["tf"]
    assert regions["tf"]["tumour"] == ["NCR", "ED", "ET"]
