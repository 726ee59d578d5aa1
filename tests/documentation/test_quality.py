"""The guide's commands for quality, on stand-ins with a barely trained baseline."""

import sys

import pytest

from nnunetv2_tf.commands import report, synthesize
from nnunetv2_tf.io.files import read_json
from nnunetv2_tf.sets.store import SetPart
from tests.documentation.blocks import commands
from tests.synthesis.making import make_glowing, make_set
from tests.workspace import TINY, TRAINER, Workspace

FILTER = commands("guide/quality", "The filter, if you ask for it")
PAGES = commands("guide/quality", "Look at a set")
FIGURES = commands("guide/quality", "Figures compare methods")
METHOD = "tests.methods.examples:Glow"


def words(line: str, **replaced: str) -> list[str]:
    """The line's words, with other values after some of its options."""
    found = line.split()
    for option, value in replaced.items():
        found[found.index(f"-{option}") + 1] = value
    return found


@pytest.mark.slow
def test_the_filter(trained: Workspace, monkeypatch):
    (line,) = FILTER
    settings = ["-p", TINY, "-tr", TRAINER, "-keep", "0", "1", "-np", "1"]
    monkeypatch.setattr(sys, "argv", [*words(line, m=METHOD, num_cases="3"), *settings])
    assert synthesize.main() == 0
    assert len(SetPart(trained.dataset, "seen", 0).manifest().accepted) == 3


def test_the_pages(with_healthy: Workspace, monkeypatch):
    part = make_set(with_healthy, "tf100", 8, method="tumorcp", healthy="601", asked={"volume_ml": [0.05, 5]})
    for line in PAGES:
        monkeypatch.setattr(sys, "argv", [*line.split(), "-np", "1", "-seed", "3"])
        assert report.main() == 0
    assert {"report.html", "reader_study.html", "reader_study_key.json"} <= {
        path.name for path in part.folder.iterdir()
    }


@pytest.mark.exhaustive
def test_the_figures(trained: Workspace, monkeypatch):
    training, line = FIGURES  # the judge is there already
    assert training.split()[-1] == line.split()[-1]
    part = make_glowing(trained, "tf100", num_cases=4)
    monkeypatch.setattr(sys, "argv", [*words(line, judge=TRAINER), "-num_free", "0", "-np", "1"])
    assert report.main() == 0
    assert read_json(part.folder / "figures.json", "")["judge"] == TRAINER
