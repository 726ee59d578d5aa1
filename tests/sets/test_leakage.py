"""The leak guard against a brute-force definition of a leak, over random ancestries, groups and folds."""

from dataclasses import replace

import numpy as np
import pytest

from nnunetv2_tf.dataset.folds import Groups, Split
from nnunetv2_tf.dataset.provenance import Sidecar
from nnunetv2_tf.sets.leakage import find_leaks

DRAWS = 10_000


def sidecar(case: str, ancestors) -> Sidecar:
    return Sidecar(case, None, None, (), ancestors, (), None, {}, {}, None, {})


def same_patient(one: str, other: str, groups: dict[str, str]) -> bool:
    """The definition: the same case, or both named in groups.json with one group."""
    return one == other or (one in groups and other in groups and groups[one] == groups[other])


def draw(rng: np.random.Generator):
    """A dataset, its groups, a split in which some cases stand on neither side, and synthetic cases."""
    cases = [f"c{index}" for index in range(rng.integers(2, 12))]
    labels = ["g0", "g1", "g2", *cases]  # a group may be called like a case
    groups = {case: str(rng.choice(labels)) for case in cases if rng.random() < 0.5}
    sides = rng.choice(["train", "val", "neither"], size=len(cases), p=[0.6, 0.25, 0.15])
    split = Split(
        *(tuple(case for case, side in zip(cases, sides, strict=True) if side == wanted) for wanted in ("train", "val"))
    )
    ancestries = [tuple(rng.choice(cases, size=rng.integers(0, 4)).tolist()) for _ in range(rng.integers(1, 4))]
    return cases, groups, split, ancestries


def test_never_a_leak_accepted_never_a_clean_set_refused():
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(DRAWS):
        cases, groups, split, ancestries = draw(rng)
        synthetic = [sidecar(f"s{index}", ancestors) for index, ancestors in enumerate(ancestries)]
        leaking = {s.case for s in synthetic for a in s.ancestors for v in split.val if same_patient(a, v, groups)}
        found = find_leaks(synthetic, split, Groups(groups), cases)
        assert {leak.case for leak in found} == leaking
        assert find_leaks(synthetic, split, Groups(groups), cases, everything_trains=True) == []
        refused += bool(leaking)
    assert 0.2 * DRAWS < refused < 0.8 * DRAWS  # the draws are neither all clean nor all leaking


def test_an_ancestor_the_dataset_lacks_is_refused():
    leaks = find_leaks([sidecar("s", ("typo",))], Split(("a",), ("b",)), Groups(), {"a", "b"})
    assert leaks[0].reason == "its ancestor typo is no case of this dataset"
    assert find_leaks([sidecar("s", ("typo",))], Split(("a",), ("a",)), Groups(), {"a"}, everything_trains=True)


def test_reasons_name_the_validation_case():
    split, known = Split(("a",), ("b",)), {"a", "b"}
    (leak,) = find_leaks([sidecar("s", ("b",))], split, Groups(), known)
    assert leak.reason == "it descends from b, which validates in this fold"
    (leak,) = find_leaks([sidecar("s", ("a",))], split, Groups({"a": "P7", "b": "P7"}), known)
    assert leak.reason == "it descends from a of group P7, and b of that group validates"


@pytest.mark.parametrize("ancestors", [(), "unknown"])
def test_no_ancestors_and_trusted_ones_pass(ancestors):
    assert find_leaks([sidecar("s", ancestors)], Split(("a",), ("b",)), Groups(), {"a", "b"}) == []


@pytest.mark.parametrize(
    ("scan", "patient", "leaks"),
    [
        ("Dataset602_More/x", ("group", "P7"), True),
        ("Dataset602_More/x", ("group", "P8"), False),
        ("Dataset602_More/x", ("case", "P7_001"), True),
        ("Dataset602_More/b", ("group", "P8"), True),  # called like the case that validates
        ("Dataset602_More/a", ("case", "a"), False),  # trains
    ],
)
def test_an_unlabelled_scan_of_who_validates_is_a_leak(scan, patient, leaks):
    split, groups = Split(("a",), ("b",)), Groups({"b": "P7"})
    made = replace(sidecar("s", ("a",)), unlabelled={scan: patient})
    found = find_leaks([made], split, groups, {"a", "b"})
    assert bool(found) is leaks
    if leaks:
        reason = f"it descends from the unlabelled scan {scan}, of the patient of b, which validates"
        assert [leak.reason for leak in found] == [reason]
    assert not find_leaks([made], split, groups, {"a", "b"}, everything_trains=True)
