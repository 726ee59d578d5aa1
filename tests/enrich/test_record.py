"""What is done, missing, or done with something that has changed since."""

from pathlib import Path

import pytest

from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.enrich.record import StepsRecord
from nnunetv2_tf.enrich.step import Step
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json

NEEDS = {"scans": (), "model": ("scans",), "other model": ("scans",), "set": ("model",)}


class Work:
    """Steps whose states a test sets."""

    def __init__(self) -> None:
        self.finished = dict.fromkeys(NEEDS, True)
        self.inputs = {name: {f"what {name} needs": "1"} for name in NEEDS}
        self.told: dict[str, dict[str, str]] = {name: {} for name in NEEDS}
        self.remembered_only = self.at_once = self.renewed = self.cleared = False

    def steps(self) -> list[Step]:
        return [
            Step(
                name, name, ("do", name), lambda name=name: self.finished[name],
                lambda name=name: dict(self.inputs[name]), NEEDS[name], lambda name=name: self.told[name],
                remembered_only=self.remembered_only, at_once=self.at_once, cleared=self.cleared,
                renewed=self.renewed and name == "set",
            )
            for name in NEEDS
        ]  # fmt: skip


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def record(tmp_path: Path) -> StepsRecord:
    return StepsRecord(tmp_path / "steps.json")


def words(record: StepsRecord, work: Work) -> list[str]:
    return [state.word for state in record.states(work.steps())]


def remember(record: StepsRecord, work: Work, *names: str) -> None:
    for state in record.states(work.steps()):
        if state.step.key in (names or NEEDS):
            record.begin(state)
            record.end(state)


def test_what_was_done_by_hand_counts_unless_only_a_record_can_tell(work, record):
    work.finished["set"] = False
    assert words(record, work) == ["done", "done", "done", "missing"]
    work.remembered_only = True
    assert words(record, work) == ["missing"] * 4


def test_a_change_reaches_all_that_came_of_it_and_is_named(work, record):
    remember(record, work)
    work.inputs["model"] = {"what model needs": "2"}
    states = record.states(work.steps())
    assert [state.word for state in states] == ["done", "changed", "done", "changed"]
    assert states[1].changed == states[3].changed == ("what model needs",)


def test_what_is_done_anew_does_not_make_the_rest_new(work, record):
    """Whoever is stopped between two steps, or does one fold after the other, is told all the same."""
    remember(record, work)
    work.inputs["scans"] = {"what scans needs": "2"}
    assert words(record, work) == ["changed"] * 4
    remember(record, work, "scans")
    assert words(record, work) == ["done", "changed", "changed", "changed"]
    remember(record, work, "model")
    assert words(record, work) == ["done", "done", "changed", "changed"]


def test_what_is_lost_without_a_change_is_missing_and_what_came_of_it_stays(work, record):
    remember(record, work)
    work.finished["scans"] = False
    assert words(record, work) == ["missing", "done", "done", "done"]


def test_what_was_begun_is_not_done_and_goes_on_only_with_the_same(work, record):
    """Also where what an earlier time has left looks finished."""
    remember(record, work)
    record.begin(record.states(work.steps())[3])
    assert words(record, work) == ["done", "done", "done", "begun"]
    work.inputs["set"] = {"what set needs": "2"}
    assert words(record, work) == ["done", "done", "done", "changed"]


def test_what_is_there_is_asked_what_it_was_made_of(work, record):
    work.told["set"] = {"what set needs": "another", "what nobody asked": "1"}
    assert words(record, work) == ["done", "done", "done", "changed"]


def test_what_comes_to_be_on_the_way_is_no_change_but_changes_later(work, record):
    """Such as a split that a training writes."""
    begun = record.states(work.steps())[1]
    record.begin(begun)
    work.inputs["model"]["the split"] = "1"
    record.end(record.states(work.steps())[1])
    assert words(record, work)[1] == "done"
    work.inputs["model"]["the split"] = "2"
    assert words(record, work)[1] == "changed"


def test_what_changes_while_a_step_is_at_work_is_a_change(work, record):
    record.begin(record.states(work.steps())[1])
    work.inputs["model"] = {"what model needs": "2"}
    record.end(record.states(work.steps())[1])
    assert words(record, work)[1] == "changed"


def test_it_is_read_again(work, record):
    remember(record, work)
    work.inputs["set"] = {"what set needs": "2"}
    again = StepsRecord(record.path, read_json(record.path, ""))
    assert words(again, work) == ["done", "done", "done", "changed"]


def test_a_damaged_record_is_named(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("nnUNet_results", str(tmp_path))
    path = tmp_path / "tf_enrich" / "Dataset501_X" / "steps.json"
    path.parent.mkdir(parents=True)
    path.write_text("{")
    with pytest.raises(UserError, match="what is finished is found all the same"):
        StepsRecord.of(Dataset("Dataset501_X"))


def test_what_appears_whole_was_finished_if_it_is_there_and_never_was_if_not(work, record):
    """A child that outlives us, and somebody who deletes a dataset to have it made anew."""
    work.at_once = True
    record.begin(record.states(work.steps())[0])
    assert words(record, work)[0] == "done"
    work.inputs["scans"] = {"what scans needs": "2"}
    assert words(record, work)[0] == "changed"
    work.finished["scans"] = False
    assert words(record, work)[0] == "missing"


def test_what_takes_little_is_done_anew_without_being_asked_for(work, record):
    remember(record, work)
    work.renewed = True
    work.inputs["model"] = {"what model needs": "2"}
    assert words(record, work) == ["done", "changed", "done", "missing"]


def test_what_a_command_finished_after_we_were_killed_is_done_where_nothing_old_can_be_there(work, record):
    remember(record, work)
    record.begin(record.states(work.steps())[1])
    assert words(record, work) == ["done", "begun", "done", "done"]
    work.cleared = True
    assert words(record, work) == ["done"] * 4
    work.inputs["model"] = {"what model needs": "2"}
    assert words(record, work)[1] == "changed"
