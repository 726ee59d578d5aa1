"""Check for leaks: no synthetic case may carry anything of a validation case. In: descent, a split. Out: leaks."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from nnunetv2_tf.dataset.folds import Groups, Patient, Split, known_as


class Descendant(Protocol):
    """What is known of where a synthetic case comes from: a sidecar, for one."""

    @property
    def case(self) -> str:
        """Its name."""
        ...

    @property
    def ancestors(self) -> tuple[str, ...] | Literal["unknown"]:
        """The real cases that it carries anything of."""
        ...

    @property
    def unlabelled(self) -> Mapping[str, Patient]:
        """Unlabelled scans that it carries anything of, and whom they are of."""
        ...


@dataclass(frozen=True)
class Leak:
    """A synthetic case that must be refused, and why."""

    case: str
    reason: str


def find_leaks(
    made: Iterable[Descendant], split: Split, groups: Groups, known: Collection[str], everything_trains: bool = False
) -> list[Leak]:
    """Return the leaks among synthetic cases that are to train with the training cases of `split`.

    An ancestor leaks when a case of its group validates, and so does an unlabelled scan. An ancestor that the dataset
    does not have cannot be checked, and is refused. Unknown ancestors (--trust) pass: the user vouches for them.

    Args:
        made: the synthetic cases, or their sidecars
        split: the fold's training and validation cases
        groups: which cases are one patient
        known: all cases of the dataset
        everything_trains: fold `all`, where nothing is held out and every known ancestor is accepted
    """
    patients = {} if everything_trains else {case: groups[case] for case in split.val}
    validating = {group: case for case, group in patients.items()}
    asked: dict[tuple[str, Patient], str | None] = {}  # cases of a set name the same scans
    leaks = []
    for one in made:
        ancestors = () if one.ancestors == "unknown" else one.ancestors
        for ancestor in ancestors:
            if ancestor not in known:
                leaks.append(Leak(one.case, f"its ancestor {ancestor} is no case of this dataset"))
            elif groups[ancestor] in validating:
                leaks.append(Leak(one.case, _reason(ancestor, validating[groups[ancestor]], groups)))
        for scan, patient in one.unlabelled.items():
            if (scan, patient) not in asked:
                asked[scan, patient] = known_as(scan.rpartition("/")[2], patient, patients)
            case = asked[scan, patient]
            if case is not None:
                reason = f"it descends from the unlabelled scan {scan}, of the patient of {case}, which validates"
                leaks.append(Leak(one.case, reason))
    return leaks


def _reason(ancestor: str, validating: str, groups: Groups) -> str:
    if ancestor in groups.group_of:
        group = groups.group_of[ancestor]
        return f"it descends from {ancestor} of group {group}, and {validating} of that group validates"
    return f"it descends from {ancestor}, which validates in this fold"
