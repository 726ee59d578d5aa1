import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunetv2_tf.errors import UserError
from nnunetv2_tf.records import to_json
from nnunetv2_tf.tumours.recipe import (
    Cohort,
    Line,
    Tumour,
    draw_line,
    read_recipe,
    refuse_outsiders,
    write_recipe,
)

GROUPS = {f"case_{index}": ("group", f"patient_{index // 2}") for index in range(8)}
COHORT = Cohort(GROUPS, [name for name in GROUPS if name != "case_3"], ["healthy_1", "healthy_2", "healthy_3"])


@given(st.integers(0, 2**31), st.integers(0, 200))
def test_a_line_depends_on_seed_and_index_only(seed, index):
    line = draw_line(COHORT, seed, index)
    assert line == draw_line(COHORT, seed, index)
    assert line.index == index
    (tumour,) = line.tumours
    assert tumour.untransformed
    assert tumour.donor in COHORT.donors
    assert GROUPS[tumour.donor] != GROUPS[str(line.real_host)]


@pytest.mark.parametrize("hosts", ["real_host", "healthy_host"])
def test_no_host_comes_twice_before_all_came_once(hosts):
    names = set(GROUPS) if hosts == "real_host" else set(COHORT.healthy)
    drawn = [getattr(draw_line(COHORT, 4, index), hosts) for index in range(3 * len(names))]
    rounds = [drawn[start : start + len(names)] for start in range(0, len(drawn), len(names))]
    assert all(set(members) == names for members in rounds)
    assert rounds[0] != rounds[1] or rounds[1] != rounds[2]


def test_all_donors_come_and_seeds_differ():
    lines = [draw_line(COHORT, 0, index) for index in range(300)]
    assert {line.tumours[0].donor for line in lines} == set(COHORT.donors)
    assert len({line.seed for line in lines}) == 300
    assert [draw_line(COHORT, 1, index) for index in range(300)] != lines


def test_healthy_cases_change_nothing_for_real_hosts():
    without = Cohort(GROUPS, COHORT.donors)
    for index in range(20):
        one, other = draw_line(COHORT, 2, index), draw_line(without, 2, index)
        assert (one.real_host, one.tumours, one.seed) == (other.real_host, other.tumours, other.seed)
        assert other.healthy_host is None


def line_text(**changes) -> str:
    return json.dumps(to_json(draw_line(COHORT, 0, 0)) | changes)


def test_written_and_read(tmp_path):
    lines = [draw_line(COHORT, 0, index) for index in range(5)]
    write_recipe(lines, tmp_path / "recipe.jsonl")
    assert read_recipe(tmp_path / "recipe.jsonl") == lines
    refuse_outsiders(lines, COHORT, tmp_path / "recipe.jsonl")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        ("{", "line 1 is not valid JSON"),
        ("{}", "line 1: Line lacks or does not know"),
        (line_text(index=1), "line 1 has index 1, not 0"),
        (line_text(seed=-1), "line 1: a line has a seed of 0 or more"),
        (line_text(tumours=[]), "line 1: .*at least one tumour"),
        (line_text(real_host=3), "line 1: Line.real_host must be text, not 3"),
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
        (None, ("case_1",), "line 1 has no real_host"),
    ],
)
def test_a_recipe_may_not_leave_the_fold(tmp_path, host, tumours, sentence):
    line = Line(0, None, host, tuple(Tumour(name) for name in tumours), 0)
    with pytest.raises(UserError, match=sentence):
        refuse_outsiders([line], COHORT, tmp_path)


def test_transforms_are_refused_and_not_ignored(tmp_path):
    line = Line(0, None, "case_0", (Tumour("case_2", flip=True),), 0)
    with pytest.raises(UserError, match="line 1 transforms the tumour of case_2, and this version leaves tumours"):
        refuse_outsiders([line], COHORT, tmp_path)


def test_a_fold_without_cases():
    with pytest.raises(UserError, match="No real case trains in this fold"):
        draw_line(Cohort({}, []), 0, 0)


@pytest.mark.parametrize(
    ("groups", "donors", "sentence"),
    [
        ({"a": "x", "b": "x"}, ["a", "b"], "2 cases of 1 patients train, 2 of them with a tumour"),
        ({"a": "x", "b": "y"}, [], "2 cases of 2 patients train, 0 of them with a tumour"),
        ({"a": "x", "b": "y"}, ["a"], "tumour to give to a: 2 cases of 2 patients train, 1 of them with a tumour"),
    ],
)
def test_one_patient_cannot_be_mixed(groups, donors, sentence):
    cohort = Cohort({name: ("group", group) for name, group in groups.items()}, donors)
    with pytest.raises(UserError, match=sentence):
        [draw_line(cohort, 0, index) for index in range(2)]
