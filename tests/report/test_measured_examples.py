"""Tumour-free balls lie opposite the tumour, in tissue, and away from it."""

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from nnunetv2_tf.report import measured_examples
from nnunetv2_tf.report.measured_examples import made_examples, real_examples, tumour_free_balls
from nnunetv2_tf.report.measured_set import MeasuredCase
from tests.scenes import Built


def made_of(scene: Built, index: int) -> MeasuredCase:
    case = scene.cases[index]
    return MeasuredCase(case, case.tumour(), "somebody", (scene.cases[2].identifier,))


def test_balls_are_free_of_tumour(scene: Built, monkeypatch):
    monkeypatch.setattr(measured_examples, "BALL", 3.0)
    monkeypatch.setattr(measured_examples, "AWAY", 2.0)
    cases = {case.identifier: case for case in scene.cases}
    balls = tumour_free_balls(cases, [made_of(scene, 0)])
    assert [ball.real for ball in balls] == [True] * (len(balls) - 1) + [False]
    assert len(balls) > 2
    for ball in balls:
        assert ball.volume_ml == pytest.approx(4 / 3 * np.pi * 27 / 1000, rel=0.2)
        case = cases[ball.name]
        away = np.asarray(distance_transform_edt(case.tumour() == 0))
        place = measured_examples._opposite(case, case.tumour() > 0)
        assert place is not None
        assert away[place > 0].min() > 2.0
        assert case.organ()[place > 0].all()


def test_no_room_no_ball(scene: Built):
    assert tumour_free_balls({case.identifier: case for case in scene.cases}, []) == []  # these heads are small


def test_who_examples_are_of(scene: Built):
    cases = {case.identifier: case for case in scene.cases}
    real = real_examples(cases, whole=True)
    assert [one.groups for one in real] == [(f"case {name}",) for name in cases]
    assert set(real[0].further) == {"left and right differ", "ventricles", "midline"}
    (one,) = made_examples([made_of(scene, 0)], cases, whole=False)
    assert one.groups == ("somebody", f"case {scene.cases[2].identifier}")
    assert (one.real, one.further) == (False, {})
