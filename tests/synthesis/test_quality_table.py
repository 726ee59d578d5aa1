"""quality.csv tells of every line, taken or left out."""

import csv

import pytest

from nnunetv2_tf.io.files import write_json
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.synthesis.quality_table import write_quality
from nnunetv2_tf.tumours.recipe import read_recipe
from tests.synthesis.making import make_set
from tests.workspace import Workspace

pytestmark = pytest.mark.slow


def rows(part: SetPart) -> list[dict[str, str]]:
    with open(part.folder / "quality.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_row_for_every_case(workspace: Workspace):
    part = make_set(workspace, num_cases=3)
    table = rows(part)
    assert [(row["case"], row["line"], row["accepted"], row["reason"]) for row in table] == [
        (f"cm_0000{index}", str(index), "1", "") for index in range(3)
    ]
    for row, line in zip(table, read_recipe(part.folder / "recipe.jsonl"), strict=True):
        assert (row["host"], row["donors"]) == (line.real_host, line.donors[0])
        assert float(row["labelled"]) == 1.0
        assert float(row["edge_t1n"]) > 0


def test_lines_that_could_not_be_used_have_their_reason(workspace: Workspace):
    part = make_set(workspace, num_cases=2)
    lines = read_recipe(part.folder / "recipe.jsonl")
    write_json(part.skipped_path("cm_00001"), {"line": 1, "reason": "no room"})
    write_quality(part, lines)
    row = rows(part)[1]
    assert (row["accepted"], row["reason"], row["labelled"]) == ("1", "no room", "")


def test_cases_from_before_there_were_checks_have_a_row_too(workspace: Workspace):
    part = make_set(workspace, num_cases=2)
    from nnunetv2_tf.io.files import read_json

    path = part.sidecar_path("cm_00000")
    content = read_json(path, "")
    del content["controls"]["quality"]
    write_json(path, content)
    write_quality(part, read_recipe(part.folder / "recipe.jsonl"))
    assert (rows(part)[0]["accepted"], rows(part)[0]["labelled"]) == ("1", "")
