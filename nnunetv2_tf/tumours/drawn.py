"""Recipes with healthy hosts. In: what tumours are drawn from, hosts, a seed. Out: the first lines.

Drawing takes a third of a second a line, so lines are drawn once and kept, and whoever draws from the same shares them:
methods that are compared get the same tumours.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from nnunetv2_tf.errors import UserError
from nnunetv2_tf.preparation.stored import Case
from nnunetv2_tf.records import read_record, to_json
from nnunetv2_tf.stamps import digest
from nnunetv2_tf.tumours.drawing import Draw, Unplaceable
from nnunetv2_tf.tumours.hosting import Host, read_host
from nnunetv2_tf.tumours.recipe import DONOR, HEALTHY, SPARE, Line, in_turn, seed_of
from nnunetv2_tf.work import in_parallel, locked, write_json

MAKING = 3  # counts up when lines come to be drawn in another way
AGAIN = "delete it, its lines are drawn anew."
SPARES = 4  # hosts that are tried when nothing fits into the one whose turn it is


@dataclass(frozen=True)
class _Kept:
    """Lines on disk, in the order of their numbers; some may be missing yet."""

    lines: tuple[Line, ...]
    hash: str


@dataclass(frozen=True)
class Drawn:
    """A recipe that is drawn as far as it is asked for."""

    draw: Draw
    hosts: Mapping[str, Case]
    stamps: Mapping[str, str]  # of the hosts' arrays
    seed: int
    folder: Path  # where lines are kept

    def first(self, number: int, num_processes: int) -> list[Line]:
        """The first so many lines; those that nobody has drawn yet are drawn."""
        known = self._known()
        if any(index not in known for index in range(number)):
            with locked(self.path.with_suffix(".lock"), "the same recipe"):
                known = self._known()
                missing = [index for index in range(number) if index not in known]
                for lines in self._drawn(missing, num_processes):
                    known |= {line.index: line for line in lines}
                    self._keep(known)
        return [known[index] for index in range(number)]

    @cached_property
    def digest(self) -> str:
        """The same for what draws the same lines, but for the seed."""
        draw = self.draw
        return digest([MAKING, draw.bank.digest, to_json(draw.drawing), to_json(draw.controls), dict(self.stamps)])

    @property
    def path(self) -> Path:
        """The file of the lines."""
        return self.folder / f"{self.digest[:16]}_seed{self.seed}.json"

    def _known(self) -> dict[int, Line]:
        if not self.path.exists():
            return {}
        kept = read_record(_Kept, self.path, AGAIN)
        if kept.hash != digest(to_json(kept.lines)):
            raise UserError(f"{self.path} was changed by hand; {AGAIN}")
        return {line.index: line for line in kept.lines}

    def _keep(self, known: Mapping[int, Line]) -> None:
        lines = tuple(known[index] for index in sorted(known))
        write_json(self.path, to_json(_Kept(lines, digest(to_json(lines)))))

    def _drawn(self, indices: Sequence[int], num_processes: int) -> Iterator[list[Line]]:
        """Host by host, so that each is read once."""
        by_host = defaultdict(list)
        for index in indices:
            by_host[in_turn(self.hosts, [self.seed, HEALTHY], index)].append(index)
        work = partial(_draw_lines, self.draw, self.hosts, self.seed)
        return in_parallel(work, list(by_host.items()), num_processes, "Drawing tumours", "host")


def _draw_lines(draw: Draw, hosts: Mapping[str, Case], seed: int, turn: tuple[str, Sequence[int]]) -> list[Line]:
    name, indices = turn
    host = _read(draw, hosts, name)
    return [_draw_line(draw, host, hosts, seed, index) for index in indices]


def _draw_line(draw: Draw, first: Host, hosts: Mapping[str, Case], seed: int, index: int) -> Line:
    rng = np.random.default_rng([seed, DONOR, index])
    reasons, tried = [], []
    for host in _tried(draw, first, hosts, np.random.default_rng([seed, SPARE, index])):
        try:
            tumours, _ = draw.tumours(host, rng)
        except Unplaceable as reason:
            reasons.append(str(reason))
            tried.append(host.name)
        else:
            return Line(index, host.name, None, tumours, seed_of(seed, index))
    raise UserError(
        f"No tumour could be placed as asked for in {len(tried)} healthy scans, {', '.join(tried)}: "
        f"{'; '.join(dict.fromkeys(reasons))}. Ask for less."
    )


def _tried(draw: Draw, first: Host, hosts: Mapping[str, Case], rng: np.random.Generator) -> Iterator[Host]:
    """The host whose turn it is, then a few others."""
    yield first
    others = sorted(set(hosts) - {first.name})
    for place in rng.permutation(len(others))[:SPARES]:
        yield _read(draw, hosts, others[place])


def _read(draw: Draw, hosts: Mapping[str, Case], name: str) -> Host:
    return read_host(replace(hosts[name]), draw.drawing.around_fluid)  # a fresh case, which goes when it is read
