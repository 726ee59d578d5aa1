"""The picture of what arms trained on: whose sets, which lines, and nothing where there are none."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from nnunetv2_tf.benchmark.arm import Arm
from nnunetv2_tf.benchmark.panel import _common_lines, write_panel
from tests.benchmark.examples import CARVEMIX, NNUNET, matrix
from tests.synthesis.making import make_set
from tests.workspace import Workspace

SYNTUMOR = Arm("syntumor", "syntumor", healthy=601, num_cases=4)


def test_a_column_for_each_set_and_one_for_real_tumours(with_healthy: Workspace, tmp_path: Path):
    compared = matrix(NNUNET, CARVEMIX, SYNTUMOR)
    path = tmp_path / "samples.png"
    assert not write_panel(compared, with_healthy.dataset, path)
    widths = []
    for arm, options in ((CARVEMIX, {}), (SYNTUMOR, {"method": "syntumor", "healthy": "601"})):
        part = make_set(with_healthy, arm.set_name(0), 4, **options)
        part.preprocess(with_healthy.plan(), 1)
        assert write_panel(compared, with_healthy.dataset, path)
        with Image.open(path) as picture:
            widths.append(picture.width / picture.height)
    assert widths[1] / widths[0] == pytest.approx(1.5)  # three columns instead of two
    trainings = [training for training in compared.trainings() if training.set_name is not None]
    both = [{entry.line for entry in training.part.manifest().accepted} for training in trainings]
    assert set(_common_lines(trainings)) == both[0] & both[1]
    for training in trainings:
        shutil.rmtree(training.part.preprocessed(with_healthy.plan().data_identifier))
    assert not write_panel(compared, with_healthy.dataset, path)  # real tumours alone are no comparison
