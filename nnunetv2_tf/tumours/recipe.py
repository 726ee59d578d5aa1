"""What to make: one line per synthetic case, everything resolved, whatever the method.

A line depends only on the seed, its index and the cohort, so a longer recipe extends a shorter one. Hosts run through
one seeded permutation after the other, so that none comes twice before all came once.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from nnunetv2_tf.errors import UserError
from nnunetv2_tf.records import from_json, to_json
from nnunetv2_tf.work import whole_file

REAL, HEALTHY, DONOR, SEED = range(4)  # streams of random numbers
CURE = "write one JSON object per line, as --recipe_only does."


@dataclass(frozen=True)
class Tumour:
    """A donor's tumour and how it is transformed on its way to the host. The defaults leave it where it is."""

    donor: str
    scale: tuple[float, ...] = (1.0, 1.0, 1.0)
    rotation: tuple[float, ...] = (0.0, 0.0, 0.0)  # degrees about Z, Y, X
    flip: bool = False  # left to right
    shift: tuple[float, ...] = (0.0, 0.0, 0.0)  # mm
    elastic_seed: int | None = None

    @property
    def untransformed(self) -> bool:
        """Whether it stays where and as it is."""
        return self == Tumour(self.donor)


@dataclass(frozen=True)
class Line:
    """One synthetic case."""

    index: int
    healthy_host: str | None
    real_host: str | None
    tumours: tuple[Tumour, ...]
    seed: int

    def __post_init__(self) -> None:
        if self.seed < 0 or not self.tumours:
            raise ValueError("a line has a seed of 0 or more, and at least one tumour")


@dataclass(frozen=True)
class Cohort:
    """Who may be host and donor: a fold's training cases and the healthy ones."""

    groups: Mapping[str, tuple[str, str]]  # real case: its patient
    donors: Sequence[str]  # the real cases that have a tumour
    healthy: Sequence[str] = ()


def draw_line(cohort: Cohort, seed: int, index: int) -> Line:
    """Line number `index` of the recipe with this seed."""
    if not cohort.groups:
        raise UserError("No real case trains in this fold; check splits_final.json.")
    real = _in_turn(sorted(cohort.groups), [seed, REAL], index)
    donors = [name for name in sorted(cohort.donors) if real is None or cohort.groups[name] != cohort.groups[real]]
    if not donors:
        patients = len(set(cohort.groups.values()))
        raise UserError(
            f"No other patient of this fold has a tumour to give to {real}: {len(cohort.groups)} cases of {patients} "
            f"patients train, {len(cohort.donors)} of them with a tumour; use more training cases."
        )
    donor = donors[np.random.default_rng([seed, DONOR, index]).integers(len(donors))]
    return Line(
        index=index,
        healthy_host=_in_turn(sorted(cohort.healthy), [seed, HEALTHY], index),
        real_host=real,
        tumours=(Tumour(donor),),
        seed=int(np.random.default_rng([seed, SEED, index]).integers(2**32)),
    )


def write_recipe(lines: Sequence[Line], path: Path) -> None:
    """Writes recipe.jsonl, whole or not at all."""
    with whole_file(path) as temporary:
        text = "".join(json.dumps(to_json(line)) + "\n" for line in lines)
        temporary.write_text(text, encoding="utf-8")


def read_recipe(path: Path) -> list[Line]:
    """Reads recipe.jsonl; the lines count from 0."""
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
            line = from_json(Line, value)
        except ValueError as error:
            raise UserError(f"{path}, line {number + 1}: {error}; {CURE}") from None
        if line.index != number:
            raise UserError(f"{path}, line {number + 1} has index {line.index}, not {number}; lines count from 0.")
        lines.append(line)
    if not lines:
        raise UserError(f"{path} is empty; {CURE}")
    return lines


def refuse_outsiders(lines: Sequence[Line], cohort: Cohort, path: Path) -> None:
    """Raises when a recipe names a case that does not train in this fold, or mixes a patient with itself."""
    for line in lines:
        where = f"{path}, line {line.index + 1}"
        if line.real_host is None:
            raise UserError(f"{where} has no real_host; name one.")
        for name in (line.real_host, *(tumour.donor for tumour in line.tumours)):
            if name not in cohort.groups:
                raise UserError(f"{where} uses {name}, which does not train in this fold; use its training cases only.")
        for tumour in line.tumours:
            if tumour.donor not in cohort.donors:
                raise UserError(f"{where}: donor {tumour.donor} has no tumour; choose another.")
            if cohort.groups[tumour.donor] == cohort.groups[line.real_host]:
                raise UserError(f"{where}: donor {tumour.donor} and host {line.real_host} are one patient; mix two.")
            if not tumour.untransformed:
                raise UserError(
                    f"{where} transforms the tumour of {tumour.donor}, and this version leaves tumours where and as "
                    "they are; keep to scale 1, rotation 0, no flip, shift 0 and no elastic seed."
                )


def _in_turn(names: list[str], stream: Sequence[int], index: int) -> str | None:
    """The name whose turn it is in consecutive seeded permutations."""
    if not names:
        return None
    round_, place = divmod(index, len(names))
    return names[_permutation((*stream, round_), len(names))[place]]


@lru_cache(maxsize=64)
def _permutation(seed: tuple[int, ...], length: int) -> list[int]:
    return np.random.default_rng(seed).permutation(length).tolist()
