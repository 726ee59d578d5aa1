"""How strong patients' mass effect is: their brain's shift, by what the model would do at strength 1."""

from dataclasses import replace

import pytest

from nnunetv2_tf.standin.brains import Brains
from nnunetv2_tf.standin.livers import Livers
from nnunetv2_tf.synthesis import patients_mass_effect
from nnunetv2_tf.synthesis.patients_mass_effect import Observed, observed_strengths
from nnunetv2_tf.tumours.recipe import STRONGEST
from nnunetv2_tf.working_space.stored import Case
from tests.conftest import enter
from tests.scenes import Builder, Scene

HEADS = Scene(Brains(shape=(44, 52, 44), spacing=(3.0, 3.0, 3.0), kind="mni152"), spacing=(3.0, 3.0, 3.0), num_cases=6)
BELLIES = Scene(
    Livers(shape=(40, 48, 44), spacing=(3.0, 3.0, 3.0)), (3.0, 3.0, 3.0), "CTNormalization", masked=False, num_cases=3
)


@pytest.mark.parametrize(
    ("shift", "at_one", "strength"),
    [
        (2.0, 4.0, 0.5),
        (-2.0, -4.0, 0.5),
        (9.0, 4.0, STRONGEST),
        (-1.0, 4.0, 0.0),  # a little towards the tumour: none
        (-5.0, 4.0, None),  # that far: something else was found
        (2.0, 0.5, None),  # the tumour is too small to tell
        (None, 4.0, None),
    ],
)
def test_a_strength_is_the_shift_by_that_at_strength_one(shift, at_one, strength):
    assert Observed(shift, at_one).strength == strength


def test_patients_are_measured_once_and_in_any_number_of_processes(build_scene: Builder, monkeypatch):
    built = build_scene(HEADS)
    enter(built.workspace, monkeypatch)
    cases = [Case(**{name: getattr(case, name) for name in Case.__dataclass_fields__}) for case in built.cases]
    found = [Observed.of(case, (2,)) for case in cases]
    assert any(one.shift is not None and one.at_one is not None for one in found)
    assert all(one.shift is None or abs(one.shift) < 12 for one in found)
    monkeypatch.setattr(patients_mass_effect, "_observed", None)  # nothing is measured again
    assert [Observed.of(case, (2,)) for case in cases] == found
    known = sorted(one.strength for one in found if one.strength is not None)
    monkeypatch.setattr(patients_mass_effect, "FEWEST", len(known))
    alone, together = (observed_strengths(cases, (2,), processes) for processes in (1, 2))
    assert list(alone) == list(together) == known
    monkeypatch.setattr(patients_mass_effect, "FEWEST", len(known) + 1)
    assert observed_strengths(cases, (2,), 1) == ()


def test_an_organ_without_two_halves_tells_nothing(build_scene: Builder, monkeypatch):
    built = build_scene(BELLIES)
    enter(built.workspace, monkeypatch)
    one = built.cases[0]
    case = Case(**{name: getattr(one, name) for name in Case.__dataclass_fields__})
    assert Observed.of(case, ()).strength is None
    assert observed_strengths([replace(case)], (), 1) == ()
    assert observed_strengths([], (), 1) == ()
