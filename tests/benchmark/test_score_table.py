import csv
import dataclasses

import pytest

from nnunetv2_tf.benchmark.score_table import kept_rows, write_scores
from nnunetv2_tf.benchmark.scores import code_of, score_training
from nnunetv2_tf.dataset.code_version import CodeVersion
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import write_json
from tests.benchmark.examples import matrix
from tests.benchmark.test_scores import make_validated
from tests.workspace import Workspace

SCORER = CodeVersion("2.0", None, ())


def test_benchmark_csv_has_one_line_per_training_case_and_region(workspace: Workspace, tmp_path):
    training = make_validated(workspace)
    write_json(training.folder / "tf_code.json", [dataclasses.asdict(CodeVersion("1.0", "a" * 40, ("x.py",)))])
    assert code_of(training) == "a" * 40 + "+changes"
    rows = score_training(training, tmp_path / "scores", 1)
    write_scores(rows, tmp_path / "benchmark.csv", SCORER)
    with (tmp_path / "benchmark.csv").open(encoding="utf-8") as file:
        (first, *_), lines = (table := list(csv.DictReader(file))), len(table)
    assert lines == 6
    assert (first["arm"], first["case"], first["region"], first["matrix"]) == (
        "nnunet",
        "case_000",
        "WT",
        matrix().hash,
    )
    assert (first["code"], first["scored_by"]) == ("a" * 40 + "+changes", "version 2.0")
    assert float(first["dice"]) == pytest.approx(rows[0].score.dice, rel=1e-5)
    assert first["lesions_found"].split() == [str(int(found)) for found in rows[0].score.lesions_found]


def test_what_was_written_is_read_again(workspace: Workspace, tmp_path):
    training = make_validated(workspace)
    rows = score_training(training, tmp_path / "scores", 1)
    rows[0] = dataclasses.replace(rows[0], score=dataclasses.replace(rows[0].score, hd95_2026=None))
    write_scores(rows, tmp_path / "benchmark.csv", SCORER)
    (read,) = kept_rows(tmp_path / "benchmark.csv", list(matrix().trainings())).values()
    write_scores(read, tmp_path / "again.csv", SCORER)
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "benchmark.csv").read_bytes()
    assert [(row.case, row.score.region, row.score.lesions_found) for row in read] == [
        (row.case, row.score.region, row.score.lesions_found) for row in rows
    ]


def test_scores_that_do_not_belong_here_are_refused(workspace: Workspace, tmp_path):
    training, path = make_validated(workspace), tmp_path / "benchmark.csv"
    rows = score_training(training, tmp_path / "scores", 1)
    for written, sentence in (
        (rows[:-1], "are not those of its fold's 2 validation cases"),
        ([dataclasses.replace(row, matrix="other") for row in rows], "holds no scores of this matrix"),
        ([dataclasses.replace(row, train_cases=4, draw=0) for row in rows], "holds no scores of this matrix"),
    ):
        write_scores(written, path, SCORER)
        with pytest.raises(UserError, match=sentence):
            kept_rows(path, list(matrix().trainings()))
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(UserError, match="is no table of scores"):
        kept_rows(path, list(matrix().trainings()))
    with pytest.raises(UserError, match=r"missing\.csv does not exist"):
        kept_rows(tmp_path / "missing.csv", list(matrix().trainings()))
