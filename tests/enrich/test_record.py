"""What is done, missing, or done with something that has changed since."""

from pathlib import Path

import pytest

from nnunetv2_tf.enrich.record import Record
from nnunetv2_tf.enrich.steps import Step
from nnunetv2_tf.io.errors import UserError


class Work:
    """Steps whose states a test sets."""

    def __init__(self) -> None:
        self.done = {"scans": True, "model": True, "set": True, "other": True}
        self.inputs = {name: {f"what {name} needs": "1"} for name in self.done}

    def steps(self) -> list[Step]:
        needs = {"scans": (), "model": ("scans",), "set": ("model",), "other": ()}
        return [
            Step(name, name, ("do", name), ("redo", name), lambda name=name: self.done[name],
                 lambda name=name: dict(self.inputs[name]), needs[name])
            for name in self.done
        ]  # fmt: skip


@pytest.fixture
def work() -> Work:
    return Work()


def words(record: Record, work: Work) -> list[str]:
    return [state.word for state in record.states(work.steps())]


def test_what_was_done_by_hand_counts_and_is_remembered(work, tmp_path: Path):
    record = Record(tmp_path / "steps.json")
    work.done["set"] = False
    assert words(record, work) == ["done", "done", "missing", "done"]
    record.adopt(record.states(work.steps()))
    assert set(Record(record.path, record.steps).steps) == {"scans", "model", "other"}


def test_a_change_reaches_all_that_comes_after_and_is_named(work, tmp_path: Path):
    record = Record(tmp_path / "steps.json")
    for step in work.steps():
        record.note(step)
    work.inputs["model"] = {"what model needs": "2"}
    states = record.states(work.steps())
    assert [state.word for state in states] == ["done", "changed", "changed", "done"]
    assert (states[1].changed, states[2].changed) == (("what model needs",), ())
    assert states[2].after == ("model",)
    work.inputs["model"] = {}
    assert record.states(work.steps())[1].changed == ("what model needs",)  # it has gone
    record.note(work.steps()[1])
    assert words(record, work) == ["done", "done", "done", "done"]


def test_what_is_missing_makes_what_comes_after_anew(work, tmp_path: Path):
    work.done["scans"] = False
    assert words(Record(tmp_path / "steps.json"), work) == ["missing", "changed", "changed", "done"]


def test_a_damaged_record_is_named(tmp_path: Path, monkeypatch):
    from nnunetv2_tf.dataset.folders import Dataset

    monkeypatch.setenv("nnUNet_results", str(tmp_path))
    path = tmp_path / "Dataset501_X" / "tf_enrich" / "steps.json"
    path.parent.mkdir(parents=True)
    path.write_text("{")
    with pytest.raises(UserError, match="what is finished is found all the same"):
        Record.of(Dataset("Dataset501_X"))
