"""What finished steps worked on. In: steps. Out: which are done, missing, or done with what has changed since."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nnunetv2_tf.dataset.folders import Dataset, nnunet_folder
from nnunetv2_tf.enrich.steps import Inputs, Step
from nnunetv2_tf.io.files import read_json, write_json

CURE = "delete it; what is finished is found all the same."


def enrich_folder(dataset: Dataset) -> Path:
    """Return where the record and the logs of a dataset are."""
    return nnunet_folder("nnUNet_results") / dataset.name / "tf_enrich"


@dataclass(frozen=True)
class State:
    """How far a step is."""

    step: Step
    done: bool
    changed: tuple[str, ...] = ()  # what it worked on and has changed since
    after: tuple[str, ...] = ()  # titles of steps before it that have to be done anew, so that it has to, too

    @property
    def stale(self) -> bool:
        """Whether it is done, but not with what is there now."""
        return self.done and bool(self.changed or self.after)

    @property
    def word(self) -> str:
        """`done`, `missing`, or `changed`."""
        return "changed" if self.stale else "done" if self.done else "missing"


@dataclass
class Record:
    """The file that remembers finished steps: by key, the digests of what they worked on."""

    path: Path
    steps: dict[str, Inputs] = field(default_factory=dict)

    @classmethod
    def of(cls, dataset: Dataset) -> "Record":
        """Read a dataset's record."""
        path = enrich_folder(dataset) / "steps.json"
        return cls(path, read_json(path, CURE) if path.exists() else {})

    def note(self, step: Step) -> None:
        """Remember a step that has ended, with what it worked on."""
        self.steps[step.key] = dict(step.inputs())
        write_json(self.path, self.steps)

    def states(self, steps: Sequence[Step]) -> list[State]:
        """Return how far each step is; what is done and not remembered was done by hand, and counts as it is."""
        found: dict[str, State] = {}
        for step in steps:
            done, known = step.done(), self.steps.get(step.key)
            changed = _changed(known, step.inputs()) if done and known is not None else ()
            before = [found[key] for key in step.needs if key in found]
            after = tuple(state.step.title for state in before if state.stale or not state.done)
            found[step.key] = State(step, done, changed, after if done else ())
        return list(found.values())

    def adopt(self, states: Iterable[State]) -> None:
        """Remember what was done by hand."""
        unknown = [state.step for state in states if state.word == "done" and state.step.key not in self.steps]
        for step in unknown:
            self.note(step)


def _changed(known: Mapping[str, str], now: Inputs) -> tuple[str, ...]:
    """Return the names of what has changed, has come, or has gone."""
    return tuple(name for name in (*now, *(set(known) - set(now))) if known.get(name) != now.get(name))
