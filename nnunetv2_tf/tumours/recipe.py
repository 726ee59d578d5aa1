"""What to make: one line per synthetic case, everything resolved, whatever the method.

A line depends only on the seed, its index and the cohort (with healthy hosts also on what tumours are sampled by), so a
longer recipe extends a shorter one. Hosts run through
one seeded permutation after the other, so that none comes twice before all came once.
"""

import json
import math
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import whole_file
from nnunetv2_tf.io.json_dataclass import ONLY_IF_SET, from_json, to_json

REAL, HEALTHY, DONOR, SEED, SPARE, STRENGTH = range(6)  # streams of random numbers
STRONGEST = 1.5  # mass effect: tissue that is pressed to 22 % of its volume
CURE = "write one JSON object per line, as --recipe_only does."
SIZES = (0.1, 10.0)  # scales that can be meant


@dataclass(frozen=True)
class DonorTumour:
    """A donor's tumour and how it is transformed on its way to the host. The defaults leave it where it is."""

    donor: str
    scale: tuple[float, ...] = (1.0, 1.0, 1.0)
    rotation: tuple[float, ...] = (0.0, 0.0, 0.0)  # degrees about Z, Y, X
    flip: bool = False  # left to right
    shift: tuple[float, ...] = (0.0, 0.0, 0.0)  # mm (Z, Y, X), of its centre, after the flip
    elastic_seed: int | None = None

    def __post_init__(self) -> None:
        for name, values in (("scale", self.scale), ("rotation", self.rotation), ("shift", self.shift)):
            if len(values) != 3 or not all(map(math.isfinite, values)):
                raise ValueError(f"{name} of {self.donor} must be three numbers (Z, Y, X), not {list(values)}")
        if not SIZES[0] <= min(self.scale) <= max(self.scale) <= SIZES[1]:
            raise ValueError(f"scale of {self.donor} goes from {SIZES[0]} to {SIZES[1]}, not {list(self.scale)}")
        if self.elastic_seed is not None and self.elastic_seed < 0:
            raise ValueError(f"elastic_seed of {self.donor} must be 0 or more, or null")

    def with_only(self, scaled: bool, turned: bool, pulled: bool) -> "DonorTumour":
        """Return the tumour where it is, with only some of what else is done to it."""
        plain = DonorTumour(self.donor, flip=self.flip, shift=self.shift)
        return replace(
            plain,
            scale=self.scale if scaled else plain.scale,
            rotation=self.rotation if turned else plain.rotation,
            elastic_seed=self.elastic_seed if pulled else None,
        )

    @property
    def untransformed(self) -> bool:
        """Whether it stays where and as it is."""
        return self == DonorTumour(self.donor)


@dataclass(frozen=True)
class RecipeLine:
    """One synthetic case. It has one host, of either kind."""

    index: int
    healthy_host: str | None
    real_host: str | None
    tumours: tuple[DonorTumour, ...]
    seed: int
    # what is in a core had exp(-mass_effect) of its volume before; 0: nothing was pushed aside
    mass_effect: float = field(default=0.0, metadata={ONLY_IF_SET: True})

    def __post_init__(self) -> None:
        if self.seed < 0 or not self.tumours:
            raise ValueError("a line has a seed of 0 or more, and at least one tumour")
        if not 0 <= self.mass_effect <= STRONGEST:
            raise ValueError(f"mass_effect goes from 0 to {STRONGEST:g}, not {self.mass_effect:g}")
        if (self.healthy_host is None) is (self.real_host is None):
            raise ValueError("a line has a healthy_host or a real_host, and the other one is null")

    @property
    def host(self) -> str:
        """The host, of either kind."""
        return self.healthy_host or self.real_host or ""

    @property
    def donors(self) -> tuple[str, ...]:
        """Whose tumours it has."""
        return tuple(tumour.donor for tumour in self.tumours)

    def donors_among(self, cases: Container[str]) -> tuple[str, ...]:
        """Return the donors that are cases: handcrafted shapes are none."""
        return tuple(name for name in self.donors if name in cases)


@dataclass(frozen=True)
class CohortNames:
    """Who may be host and donor: a fold's training cases, the healthy ones, and pseudo-labelled ones."""

    groups: Mapping[str, tuple[str, str]]  # real case: its patient
    donors: Sequence[str]  # the real cases that have a tumour
    healthy: Sequence[str] = ()  # if any, they are the hosts
    pseudo: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # unlabelled scans with a tumour: their patient

    def patient(self, donor: str) -> tuple[str, str]:
        """Return whom a donor's scan is of."""
        return self.pseudo[donor] if donor in self.pseudo else self.groups[donor]


def draw_line(cohort: CohortNames, seed: int, index: int) -> RecipeLine:
    """Draw line number `index` of the recipe with this seed, with a real host; tumours stay as they are."""
    if not cohort.groups:
        raise UserError("No real case trains in this fold; check splits_final.json.")
    real = in_turn(cohort.groups, [seed, REAL], index)
    donors = [name for name in sorted((*cohort.donors, *cohort.pseudo)) if cohort.patient(name) != cohort.groups[real]]
    if not donors:
        patients = len(set(cohort.groups.values()))
        raise UserError(
            f"No other patient of this fold has a tumour to give to {real}: {len(cohort.groups)} cases of {patients} "
            f"patients train, {len(cohort.donors)} of them with a tumour; use more training cases."
        )
    donor = donors[np.random.default_rng([seed, DONOR, index]).integers(len(donors))]
    return RecipeLine(index, None, real, (DonorTumour(donor),), seed_of(seed, index))


def in_turn(names: Iterable[str], stream: Sequence[int], index: int) -> str:
    """Return the name whose turn it is in consecutive seeded permutations."""
    ordered = sorted(names)
    round_, place = divmod(index, len(ordered))
    return ordered[_permutation((*stream, round_), len(ordered))[place]]


def seed_of(seed: int, index: int) -> int:
    """Return the seed that a method gets for a line."""
    return int(np.random.default_rng([seed, SEED, index]).integers(2**32))


def write_recipe(lines: Sequence[RecipeLine], path: Path) -> None:
    """Write recipe.jsonl, whole or not at all."""
    with whole_file(path) as temporary:
        text = "".join(json.dumps(to_json(line)) + "\n" for line in lines)
        temporary.write_text(text, encoding="utf-8")


def read_recipe(path: Path) -> list[RecipeLine]:
    """Read recipe.jsonl; the lines count from 0."""
    try:
        texts = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise UserError(f"{path} cannot be read; {CURE}") from None
    lines = []
    for number, text in enumerate(texts):
        try:
            value = json.loads(text)
        except ValueError as error:
            raise UserError(f"{path}, line {number + 1} is not valid JSON ({error}); {CURE}") from None
        try:
            line = from_json(RecipeLine, value)
        except ValueError as error:
            raise UserError(f"{path}, line {number + 1}: {error}; {CURE}") from None
        if line.index != number:
            raise UserError(f"{path}, line {number + 1} has index {line.index}, not {number}; lines count from 0.")
        lines.append(line)
    if not lines:
        raise UserError(f"{path} is empty; {CURE}")
    return lines


def check_recipe(lines: Sequence[RecipeLine], cohort: CohortNames, path: Path, in_place: bool = True) -> None:
    """Raise when a recipe names a case that does not train in this fold.

    Args:
        lines: of the recipe
        cohort: who may be host and donor
        path: of the recipe
        in_place: whether tumours have to stay where and as they are, if hosts are real; then a patient is not mixed
            with itself either
    """
    kind, hosts = ("healthy_host", cohort.healthy) if cohort.healthy else ("real_host", cohort.groups)
    for line in lines:
        where, host = f"{path}, line {line.index + 1}", getattr(line, kind)
        if host is None:
            raise UserError(f"{where} has no {kind}, which this method needs; name one.")
        if host not in hosts:
            whose = "is no case of the healthy dataset" if cohort.healthy else "does not train in this fold"
            raise UserError(f"{where} uses {host}, which {whose}; use its cases only.")
        for tumour in line.tumours:
            if tumour.donor not in cohort.groups and tumour.donor not in cohort.pseudo:
                raise UserError(
                    f"{where} uses {tumour.donor}, which does not train in this fold; use its training cases only."
                )
            if tumour.donor not in cohort.donors and tumour.donor not in cohort.pseudo:
                raise UserError(f"{where}: donor {tumour.donor} has no tumour; choose another.")
            if in_place and not cohort.healthy:
                _check_for_real_hosts(tumour, host, cohort, where)


def _check_for_real_hosts(tumour: DonorTumour, host: str, cohort: CohortNames, where: str) -> None:
    if cohort.patient(tumour.donor) == cohort.groups[host]:
        raise UserError(f"{where}: donor {tumour.donor} and host {host} are one patient; mix two.")
    if not tumour.untransformed:
        raise UserError(
            f"{where} transforms the tumour of {tumour.donor}, and methods with real hosts leave tumours where and as "
            "they are; keep to scale 1, rotation 0, no flip, shift 0 and no elastic seed."
        )


@lru_cache(maxsize=64)
def _permutation(seed: tuple[int, ...], length: int) -> list[int]:
    return np.random.default_rng(seed).permutation(length).tolist()
