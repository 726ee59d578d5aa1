"""What steps worked on. In: steps. Out: which are done, missing, or done with something that has changed since.

A step works on its own inputs and on those of all steps before it that it needs, however far back: so a change is seen
in everything that came of it, until each has been done anew. Inputs are noted before a step begins.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnunetv2_tf.dataset.folders import Dataset, nnunet_folder
from nnunetv2_tf.enrich.inputs import Inputs
from nnunetv2_tf.enrich.step import Step
from nnunetv2_tf.io.files import read_json, write_json

CURE = "delete it; what is finished is found all the same."


def enrich_folder(dataset: Dataset) -> Path:
    """Return where the record and the logs of a dataset are: not in a folder that nnU-Net takes for the dataset."""
    return nnunet_folder("nnUNet_results") / "tf_enrich" / dataset.name


@dataclass(frozen=True)
class State:
    """How far a step is."""

    step: Step
    finished: bool
    begun: bool  # and not finished
    inputs: Inputs  # its own, and those of what it needs
    changed: tuple[str, ...] = ()  # what it worked on, or works on, and has changed since

    @property
    def word(self) -> str:
        """`done`, `begun`, `missing`, or `changed`."""
        if self.changed:
            return "changed"
        return "done" if self.finished else "begun" if self.begun else "missing"


@dataclass
class StepsRecord:
    """The file that remembers steps: by key, the digests of what each worked on, and whether it has ended."""

    path: Path
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, dataset: Dataset) -> "StepsRecord":
        """Read a dataset's record."""
        path = enrich_folder(dataset) / "steps.json"
        return cls(path, read_json(path, CURE) if path.exists() else {})

    def states(self, steps: Sequence[Step]) -> list[State]:
        """Return how far each step is; what is finished and not remembered was done by hand, and counts as it is."""
        found: dict[str, State] = {}
        for step in steps:
            inputs: dict[str, str] = {}
            for key in step.needs:
                inputs |= found[key].inputs if key in found else {}
            inputs |= step.inputs()
            found[step.key] = self._state(step, inputs)
        return list(found.values())

    def _state(self, step: Step, inputs: Inputs) -> State:
        entry, there = self.entries.get(step.key), step.finished()
        if step.at_once and not there:  # nothing is left of what was begun
            entry = None
        known = {**(entry["inputs"] if entry else {}), **step.told()}
        by_hand = entry is None and not step.remembered_only
        finished = there and (by_hand or step.at_once or step.cleared or bool(entry and entry["done"]))
        changed = _changed(known, inputs)
        if changed and step.renewed:
            finished, changed = False, ()
        begun = entry is not None and not entry["done"] and not finished
        return State(step, finished, begun, inputs, changed)

    def begin(self, state: State) -> None:
        """Remember what a step is going to work on."""
        self._note(state.step, {"inputs": dict(state.inputs), "done": False})

    def end(self, state: State) -> None:
        """Remember that it has ended, with what has come to be on the way: splits, plans, what it made itself."""
        before = self.entries.get(state.step.key, {"inputs": {}})["inputs"]
        self._note(state.step, {"inputs": {**state.inputs, **before}, "done": True})

    def has_ended(self, step: Step) -> bool:
        """Tell whether the end of a step is remembered."""
        return bool(self.entries.get(step.key, {}).get("done"))

    def _note(self, step: Step, entry: dict[str, Any]) -> None:
        self.entries[step.key] = entry
        write_json(self.path, self.entries)


def _changed(known: Mapping[str, str], now: Inputs) -> tuple[str, ...]:
    """Return the names of what is otherwise than it was known; what nobody knew, or is not there, says nothing."""
    return tuple(name for name, value in now.items() if known.get(name, value) != value)
