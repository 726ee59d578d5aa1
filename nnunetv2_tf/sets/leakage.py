"""Does a synthetic case carry anything of a validation case? (Promise 1: nothing leaks.)"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from nnunetv2_tf.folds import Groups, Split
from nnunetv2_tf.provenance import Sidecar


@dataclass(frozen=True)
class Leak:
    """One reason to refuse a synthetic case."""

    case: str
    reason: str


def find_leaks(
    sidecars: Iterable[Sidecar], split: Split, groups: Groups, known: Collection[str], everything_trains: bool = False
) -> list[Leak]:
    """The leaks among synthetic cases that are to train beside `split`.

    An ancestor leaks when a case of its group validates. One that the dataset does not have cannot be judged, and is
    refused. Unknown ancestors (--trust) pass: the user answers for them.

    Args:
        sidecars: of the synthetic cases
        split: who trains and who validates
        groups: which cases are one patient
        known: all cases of the dataset
        everything_trains: fold `all`, where nothing is held out and every known ancestor is accepted
    """
    validating = {} if everything_trains else {groups[case]: case for case in split.val}
    leaks = []
    for sidecar in sidecars:
        ancestors = () if sidecar.ancestors == "unknown" else sidecar.ancestors
        for ancestor in ancestors:
            if ancestor not in known:
                leaks.append(Leak(sidecar.case, f"its ancestor {ancestor} is no case of this dataset"))
            elif groups[ancestor] in validating:
                leaks.append(Leak(sidecar.case, _reason(ancestor, validating[groups[ancestor]], groups)))
    return leaks


def _reason(ancestor: str, validating: str, groups: Groups) -> str:
    if ancestor in groups.group_of:
        group = groups.group_of[ancestor]
        return f"it descends from {ancestor} of group {group}, and {validating} of that group validates"
    return f"it descends from {ancestor}, which validates in this fold"
