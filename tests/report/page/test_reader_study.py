"""A study is blind, its key is elsewhere, and answers are scored as independent references score them."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from nnunetv2_tf.commands import report
from nnunetv2_tf.io.files import read_json
from nnunetv2_tf.report.page.reader_study import StudyRequest, matched_pairs
from nnunetv2_tf.report.page.score import Score, lines_of, score
from nnunetv2_tf.sets.store import SetPart
from tests import browser
from tests.synthesis.making import make_set
from tests.workspace import Workspace

TAB = "\ue004"


def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, *words: str, expect: int = 0) -> str:
    monkeypatch.setattr("sys.argv", ["nnUNetv2_tf_report", *words])
    capsys.readouterr()
    assert report.main() == expect
    said = capsys.readouterr()
    return said.err if expect else said.out


@pytest.fixture
def part(with_healthy: Workspace, monkeypatch, capsys) -> SetPart:
    """A set with a study of eight tumours."""
    made = make_set(with_healthy, "page", 8, method="tumorcp", healthy="601", asked={"volume_ml": [0.05, 5]})
    typed(monkeypatch, capsys, "-d", "501", "-s", "page", "-np", "1", "--reader_study", "8", "-seed", "3")
    return made


def test_the_page_knows_nothing_that_tells(part: SetPart, monkeypatch, capsys):
    page = (part.folder / "reader_study.html").read_text(encoding="utf-8")
    key = read_json(part.folder / "reader_study_key.json", "")
    items = key["items"]
    assert sum(item["real"] for item in items.values()) == 4 == len(items) / 2
    names = re.findall(r'<article class="case" id="(\w+)"', page)
    assert sorted(names) == sorted(items)
    without_pictures = re.sub(r"data:image/\S+", "", page)
    assert not any(item["case"] in without_pictures for item in items.values())
    assert len({len(re.findall(r"<img", block)) for block in page.split("<article")[1:]}) == 1
    frames = re.findall(r"aspect-ratio:([\d./]+)", page)
    assert len(set(frames)) == 1
    typed(monkeypatch, capsys, "-d", "501", "-s", "page", "-np", "1", "--reader_study", "8", "-seed", "3")
    again = read_json(part.folder / "reader_study_key.json", "")
    assert again["study"] != key["study"]
    assert not set(again["items"]) & set(items)  # who knows one key knows nothing of another
    assert sorted(one["case"] for one in again["items"].values()) == sorted(one["case"] for one in items.values())
    typed(monkeypatch, capsys, "-d", "501", "-s", "page", "-np", "1", "--reader_study", "8", "-seed", "3", "--whole")
    assert len((part.folder / "reader_study.html").read_bytes()) > len(page)


def test_pairs_are_alike_in_volume_and_nobody_is_seen_twice():
    def one(name: str, real: bool, volume: float, *groups: str) -> Any:
        return SimpleNamespace(name=name, real=real, volume_ml=volume, groups=groups)

    real = [one("a", True, 1.0, "a"), one("b", True, 10.0, "b"), one("c", True, 11.0, "c")]
    made = [one("x", False, 10.0, "host", "b"), one("y", False, 1.5, "host"), one("z", False, 300.0, "other")]
    for seed in range(8):
        pairs = matched_pairs(real, made, StudyRequest("", "", None, 20, False, None, seed, 1))
        names = {(first.name, second.name) for first, second in pairs}
        assert names in ({("c", "x")}, {("a", "y")})  # both are made in one host
    assert matched_pairs(real, made[2:], StudyRequest("", "", None, 20, False, None, 0, 1)) == []


def test_whole_brains_of_patients_would_show_their_own_tumours(workspace: Workspace, monkeypatch, capsys):
    make_set(workspace, "page", 2)
    words = ["-d", "501", "-s", "page", "-np", "1", "--reader_study", "8", "--whole"]
    assert "whose own tumours tell which brains are made" in typed(monkeypatch, capsys, *words, expect=2)


def test_answers_are_scored_by_the_key(part: SetPart, tmp_path: Path, monkeypatch, capsys):
    key = read_json(part.folder / "reader_study_key.json", "")
    right = {
        name: {"answer": "real" if item["real"] else "made", "confidence": 5} for name, item in key["items"].items()
    }
    answers = {"study": key["study"], "dataset": part.dataset.name, "set": "page", "fold": "0", "reader": "somebody"}
    path = tmp_path / "answers.json"
    path.write_text(json.dumps({**answers, "answers": right}))
    said = typed(monkeypatch, capsys, "--score", str(path))
    assert "told apart: 8 of 8, 1.00 (0.63 to 1.00" in said
    assert "AUC of how sure: 1.00" in said
    for wrong, sentence in (
        ({**answers, "study": "another", "answers": right}, "answers another study"),
        ({**answers, "answers": dict(list(right.items())[1:])}, "leaves 1 of 8 tumours open"),
        ({"answers": right}, "holds no answers of a reader study"),
    ):
        path.write_text(json.dumps(wrong))
        assert sentence in typed(monkeypatch, capsys, "--score", str(path), expect=2)
    assert "Say which set" in typed(monkeypatch, capsys, "--reader_study", "8", expect=2)
    words = ["-d", "501", "-s", "page", "--reader_study", "8"]
    assert "ask for one after the other" in typed(monkeypatch, capsys, *words, "--figures", expect=2)


def test_too_few_tumours_are_said(with_healthy: Workspace, monkeypatch, capsys):
    make_set(with_healthy, "page", 2, method="syntumor", healthy="601")
    said = typed(monkeypatch, capsys, "-d", "501", "-s", "page", "-np", "1", "--reader_study", "20", expect=2)
    assert "a study needs 4 pairs; make more cases" in said


def test_d_prime_and_counts_against_references():
    items = {str(index): {"real": index % 2 == 0} for index in range(12)}
    rng = np.random.default_rng(0)
    given = {
        name: {"answer": str(rng.choice(["real", "made"])), "confidence": int(rng.integers(1, 6))} for name in items
    }
    found = score(given, items)
    made = [given[name]["answer"] == "made" for name in items if not items[name]["real"]]
    real = [given[name]["answer"] == "real" for name in items if items[name]["real"]]
    assert (found.made_found, found.real_found) == ((sum(made), 6), (sum(real), 6))
    assert found.told == (sum(made) + sum(real), 12)
    assert Score((5, 10), (5, 10)).d_prime == pytest.approx(0)
    assert Score((10, 10), (10, 10)).d_prime == pytest.approx(2 * 1.6906, abs=1e-3)  # z of 10.5 / 11
    assert Score((0, 10), (10, 10)).d_prime == pytest.approx(0)
    truth = [0 if items[name]["real"] else 1 for name in items]
    sure = [given[name]["confidence"] * (1 if given[name]["answer"] == "made" else -1) for name in items]
    assert f"AUC of how sure: {roc_auc_score(truth, sure):.2f}" in lines_of(found, given, items)


@pytest.mark.skipif(not (browser.CHROMIUM and browser.DRIVER), reason=browser.MISSING)
def test_a_reader_answers_closes_the_page_and_goes_on(part: SetPart, tmp_path: Path, monkeypatch, capsys):
    page = part.folder / "reader_study.html"
    with browser.opened(tmp_path) as opened:
        opened.open(page)
        opened.click("#reader")
        opened.press(*"daniel", TAB)  # no key means anything else there
        assert opened.run("return document.querySelector('#reader').value") == "daniel"
        opened.run(
            "for (const one of document.querySelectorAll('.case')) one.querySelector('input[value=made]').click()"
        )
        opened.open(page)
        assert opened.run("return document.querySelector('#progress').textContent") == "0 of 8 answered"  # of nobody
        opened.click("#reader")
        opened.press(*"daniel", TAB)
        assert opened.run("return document.querySelector('#progress').textContent") == "8 of 8 answered"
        path = tmp_path / "answers.json"
        path.write_text(opened.run("return result()"), encoding="utf-8")
        assert opened.complaints() == []
    said = typed(monkeypatch, capsys, "--score", str(path))
    assert "Reader daniel, set page, fold 0" in said
    assert "sensitivity: 4 of 4" in said
    assert "specificity: 0 of 4" in said
