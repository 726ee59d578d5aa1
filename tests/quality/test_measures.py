"""Real tumours are measured once, and synthetic ones in the same way."""

import numpy as np
import pytest

from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.quality.measures import TumourMeasures, measure
from tests.scenes import Built


def test_means_of_classes_with_enough_voxels():
    image = np.zeros((2, 20, 20, 20), np.float32)
    tumour = np.zeros((20, 20, 20), int)
    tumour[5:10, 5:10, 5:10], tumour[12, 12, 12] = 2, 3
    image[0][tumour == 2], image[1][tumour == 2] = 1.5, -0.5
    found = measure(image, tumour, np.ones(tumour.shape, bool), (1.0, 1.0, 1.0))
    assert found.means == {"2": (1.5, -0.5)}
    assert found.edges[0] == pytest.approx(3 * found.edges[1])
    assert measure(image, 0 * tumour, tumour > 0, (1.0, 1.0, 1.0)) == TumourMeasures({}, ())


def test_a_case_is_measured_once(scene: Built):
    case = scene.cases[0]
    found = TumourMeasures.of(case)
    path = scene.dataset.preprocessed / "tf" / "quality" / scene.plan.data_identifier / f"{case.identifier}.json"
    assert read_json(path, "")["means"] == {name: list(row) for name, row in found.means.items()}
    image, tumour = case.image(), case.tumour()
    for value, row in found.means.items():
        assert row == pytest.approx((float(image[0][tumour == int(value)].mean()),))
    marked = {**read_json(path, ""), "means": {"7": [1.0]}}
    write_json(path, marked)
    assert TumourMeasures.of(case).means == {"7": (1.0,)}  # read, not measured
    write_json(path, {**marked, "source": "another"})
    assert TumourMeasures.of(case) == found
