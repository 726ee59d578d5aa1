"""What is kept is computed once for the same inputs, and again where it is stale, broken or of another version."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from nnunetv2_tf.io.files import read_json
from nnunetv2_tf.io.kept import kept


@dataclass(frozen=True)
class Kept:
    value: float
    source: str


@pytest.fixture
def path(tmp_path: Path) -> Path:
    kept(tmp_path / "deep" / "one.json", Kept, "a", lambda: Kept(1.5, "a"))
    return tmp_path / "deep" / "one.json"


def test_it_is_computed_once(path: Path):
    assert kept(path, Kept, "a", lambda: pytest.fail("computed again")) == Kept(1.5, "a")


def test_other_inputs_compute_it_again(path: Path):
    assert kept(path, Kept, "b", lambda: Kept(2.5, "b")) == Kept(2.5, "b")
    assert read_json(path, "") == {"value": 2.5, "source": "b"}


@pytest.mark.parametrize("text", ['{"value": 1.', "", '{"mean": 1.5, "source": "a"}', '{"value": "x", "source": "a"}'])
def test_what_cannot_be_read_is_computed_again(path: Path, text: str):
    path.write_text(text, encoding="utf-8")
    assert kept(path, Kept, "a", lambda: Kept(3.5, "a")) == Kept(3.5, "a")
    assert kept(path, Kept, "a", lambda: pytest.fail("computed again")) == Kept(3.5, "a")
