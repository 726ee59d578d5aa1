import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.json_dataclass import to_json
from nnunetv2_tf.tumours.recipe import (
    CohortNames,
    DonorTumour,
    RecipeLine,
    check_recipe,
    draw_line,
    read_recipe,
    write_recipe,
)

GROUPS = {f"case_{index}": ("group", f"patient_{index // 2}") for index in range(8)}
COHORT = CohortNames(GROUPS, [name for name in GROUPS if name != "case_3"])
HEALTHY = CohortNames(GROUPS, COHORT.donors, ["healthy_1", "healthy_2", "healthy_3"])


@given(st.integers(0, 2**31), st.integers(0, 200))
def test_a_line_depends_on_seed_and_index_only(seed, index):
    line = draw_line(COHORT, seed, index)
    assert line == draw_line(COHORT, seed, index)
    assert line.index == index
    (tumour,) = line.tumours
    assert tumour.untransformed
    assert tumour.donor in COHORT.donors
    assert GROUPS[tumour.donor] != GROUPS[str(line.real_host)]


def test_no_host_comes_twice_before_all_came_once():
    names = set(GROUPS)
    drawn = [draw_line(COHORT, 4, index).host for index in range(3 * len(names))]
    rounds = [drawn[start : start + len(names)] for start in range(0, len(drawn), len(names))]
    assert all(set(members) == names for members in rounds)
    assert rounds[0] != rounds[1] or rounds[1] != rounds[2]


def test_all_donors_come_and_seeds_differ():
    lines = [draw_line(COHORT, 0, index) for index in range(300)]
    assert {line.tumours[0].donor for line in lines} == set(COHORT.donors)
    assert len({line.seed for line in lines}) == 300
    assert [draw_line(COHORT, 1, index) for index in range(300)] != lines


def line_text(**changes) -> str:
    return json.dumps(to_json(draw_line(COHORT, 0, 0)) | changes)


def tumour_text(**changes) -> str:
    (tumour,) = to_json(draw_line(COHORT, 0, 0))["tumours"]
    return line_text(tumours=[tumour | changes])


def test_written_and_read(tmp_path):
    lines = [draw_line(COHORT, 0, index) for index in range(5)]
    write_recipe(lines, tmp_path / "recipe.jsonl")
    assert read_recipe(tmp_path / "recipe.jsonl") == lines
    check_recipe(lines, COHORT, tmp_path / "recipe.jsonl")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        ("{", "line 1 is not valid JSON"),
        ("{}", "line 1: RecipeLine lacks or does not know"),
        (line_text(index=1), "line 1 has index 1, not 0"),
        (line_text(seed=-1), "line 1: a line has a seed of 0 or more"),
        (line_text(tumours=[]), "line 1: .*at least one tumour"),
        (line_text(real_host=3), "line 1: RecipeLine.real_host must be text, not 3"),
        (line_text(real_host=None), "line 1: a line has a healthy_host or a real_host, and the other one is null"),
        (line_text(healthy_host="a"), "line 1: a line has a healthy_host or a real_host, and the other one is null"),
        (tumour_text(scale=[1, 1]), r"line 1: scale of case_\d must be three numbers \(Z, Y, X\), not \[1, 1\]"),
        (tumour_text(scale=[1, 1, 0]), r"line 1: scale of case_\d goes from 0.1 to 10.0"),
        (tumour_text(shift=[]), "line 1: shift of .* must be three numbers"),
        (tumour_text(elastic_seed=-1), "line 1: elastic_seed of .* must be 0 or more, or null"),
    ],
)
def test_broken_recipes_are_explained(tmp_path, text, sentence):
    path = tmp_path / "recipe.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=sentence):
        read_recipe(path)
    with pytest.raises(UserError, match="cannot be read; write one JSON object per line"):
        read_recipe(tmp_path)


@pytest.mark.parametrize(
    ("host", "tumours", "sentence"),
    [
        ("stranger", ("case_1",), "line 1 uses stranger, which does not train in this fold"),
        ("case_0", ("stranger",), "line 1 uses stranger, which does not train in this fold"),
        ("case_0", ("case_1",), "donor case_1 and host case_0 are one patient"),
        ("case_0", ("case_3",), "donor case_3 has no tumour"),
    ],
)
def test_a_recipe_may_not_leave_the_fold(tmp_path, host, tumours, sentence):
    line = RecipeLine(0, None, host, tuple(DonorTumour(name) for name in tumours), 0)
    with pytest.raises(UserError, match=sentence):
        check_recipe([line], COHORT, tmp_path)


@pytest.mark.parametrize(
    ("host", "tumour", "sentence"),
    [
        ("healthy_1", DonorTumour("case_1", flip=True, shift=(3.0, 0.0, 0.0)), None),
        ("stranger", DonorTumour("case_1"), "line 1 uses stranger, which is no case of the healthy dataset"),
        ("case_0", DonorTumour("case_1"), "line 1 uses case_0, which is no case of the healthy dataset"),
        ("healthy_1", DonorTumour("stranger"), "line 1 uses stranger, which does not train in this fold"),
        ("healthy_1", DonorTumour("case_3"), "donor case_3 has no tumour"),
    ],
)
def test_a_recipe_with_healthy_hosts(tmp_path, host, tumour, sentence):
    line = RecipeLine(0, host, None, (tumour,), 0)
    if sentence is None:
        check_recipe([line], HEALTHY, tmp_path)
        sentence = "line 1 has no real_host, which this method needs"
        with pytest.raises(UserError, match=sentence):
            check_recipe([line], COHORT, tmp_path)
        return
    with pytest.raises(UserError, match=sentence):
        check_recipe([line], HEALTHY, tmp_path)


def test_transforms_are_refused_and_not_ignored(tmp_path):
    line = RecipeLine(0, None, "case_0", (DonorTumour("case_2", flip=True),), 0)
    with pytest.raises(
        UserError, match="line 1 transforms the tumour of case_2, and methods with real hosts leave tumours"
    ):
        check_recipe([line], COHORT, tmp_path)


def test_a_fold_without_cases():
    with pytest.raises(UserError, match="No real case trains in this fold"):
        draw_line(CohortNames({}, []), 0, 0)


@pytest.mark.parametrize(
    ("groups", "donors", "sentence"),
    [
        ({"a": "x", "b": "x"}, ["a", "b"], "2 cases of 1 patients train, 2 of them with a tumour"),
        ({"a": "x", "b": "y"}, [], "2 cases of 2 patients train, 0 of them with a tumour"),
        ({"a": "x", "b": "y"}, ["a"], "tumour to give to a: 2 cases of 2 patients train, 1 of them with a tumour"),
    ],
)
def test_one_patient_cannot_be_mixed(groups, donors, sentence):
    cohort = CohortNames({name: ("group", group) for name, group in groups.items()}, donors)
    with pytest.raises(UserError, match=sentence):
        [draw_line(cohort, 0, index) for index in range(2)]


def test_some_of_what_is_done_to_a_tumour_may_be_left_out():
    whole = DonorTumour("a", (1.1, 1.2, 0.9), (5.0, 0.0, 0.0), True, (1.0, 2.0, 3.0), 7)
    assert whole.with_only(True, True, True) == whole
    assert whole.with_only(False, False, False) == DonorTumour("a", flip=True, shift=(1.0, 2.0, 3.0))
    assert whole.with_only(False, True, False) == replace(whole, scale=(1.0, 1.0, 1.0), elastic_seed=None)


def test_where_tumours_are_moved_recipes_may_transform_them_and_mix_a_patient_with_itself(tmp_path):
    moved = DonorTumour("case_0", scale=(1.1, 1.1, 1.1), shift=(5.0, 0.0, 0.0))
    for host in COHORT.groups:
        check_recipe([RecipeLine(0, None, host, (moved,), 0)], COHORT, tmp_path, in_place=False)


def test_pseudo_labelled_scans_are_donors_of_other_patients(tmp_path):
    patients = {"pseudo602_a": ("case", "a"), "pseudo602_b": COHORT.groups["case_0"]}
    cohort = replace(COHORT, pseudo=patients)
    lines = [draw_line(cohort, 0, index) for index in range(200)]
    donors = {line.donors[0] for line in lines}
    assert donors == {*COHORT.donors, *patients}
    assert all(cohort.patient(line.donors[0]) != cohort.groups[line.host] for line in lines)
    check_recipe(lines, cohort, tmp_path)
    with pytest.raises(UserError, match="uses pseudo602_., which does not train in this fold"):
        check_recipe(lines, COHORT, tmp_path)
    same = RecipeLine(0, None, "case_0", (DonorTumour("pseudo602_b"),), 0)
    with pytest.raises(UserError, match="donor pseudo602_b and host case_0 are one patient"):
        check_recipe([same], cohort, tmp_path)
