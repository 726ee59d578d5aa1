"""Recipes with tumours that are placed. In: what tumours are drawn from, hosts, a seed. Out: the first lines.

Drawing takes a third of a second a line, so lines are drawn once and kept, and whoever draws from the same shares them:
methods that are compared get the same tumours.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from nnunetv2_tf.io.digests import digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import locked, write_json
from nnunetv2_tf.io.json_dataclass import read_record, to_json
from nnunetv2_tf.io.parallel import in_parallel
from nnunetv2_tf.tumours.bank import rounded
from nnunetv2_tf.tumours.place import HostAnatomy, read_host
from nnunetv2_tf.tumours.recipe import DONOR, HEALTHY, REAL, SPARE, STRENGTH, RecipeLine, in_turn, seed_of
from nnunetv2_tf.tumours.sampler import SPREAD, USUAL_MASS_EFFECT, PlacementError, TumourSampler
from nnunetv2_tf.working_space.stored import Case

MAKING = 3  # counts up when lines come to be drawn in another way
AGAIN = "delete it, its lines are drawn anew."
SPARES = 4  # hosts that are tried when nothing fits into the one whose turn it is


class NowhereError(UserError):
    """A line's tumour fits into none of the hosts that were tried."""


@dataclass(frozen=True)
class _Kept:
    """Lines on disk, in the order of their numbers; some may be missing yet."""

    lines: tuple[RecipeLine, ...]
    hash: str


@dataclass(frozen=True)
class RecipeCache:
    """A recipe that is drawn as far as it is asked for."""

    sampler: TumourSampler
    hosts: Mapping[str, Case]
    stamps: Mapping[str, str]  # of the hosts' arrays
    seed: int
    folder: Path  # where lines are kept
    patients: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # whom cases are of, if they are the hosts

    def first(self, number: int, num_processes: int) -> list[RecipeLine]:
        """Return the first so many lines; draw those that nobody has drawn yet."""
        known = self._known()
        if any(index not in known for index in range(number)):
            with locked(self.path.with_suffix(".lock"), "the same recipe"):
                known = self._known()
                missing = [index for index in range(number) if index not in known]
                for lines in self._draw(missing, num_processes):
                    known |= {line.index: line for line in lines}
                    self._keep(known)
        return [known[index] for index in range(number)]

    def draw(self, index: int) -> RecipeLine:
        """Draw a line, whether or not it is kept; keep nothing."""
        return self._draw_line(self._read(self._host_of(index)), index)

    @cached_property
    def digest(self) -> str:
        """The same for what draws the same lines, but for the seed."""
        sampler = self.sampler
        config = to_json(sampler.config)
        for name in ("harmonised", "rounded", "front"):  # change hosts, and no line
            config.pop(name, None)
        drawn_from = [MAKING, sampler.bank.digest, config, to_json(sampler.constraints), dict(self.stamps)]
        if sampler.config.mass_effect:
            drawn_from += [sampler.observed, SPREAD, USUAL_MASS_EFFECT]
        if sampler.reach.beyond:
            drawn_from.append(rounded(sampler.reach.scale))
        if self.patients:
            drawn_from.append(sorted(self.patients.items()))
        return digest(drawn_from)

    @property
    def path(self) -> Path:
        """The file of the lines."""
        return self.folder / f"{self.digest[:16]}_seed{self.seed}.json"

    def _known(self) -> dict[int, RecipeLine]:
        if not self.path.exists():
            return {}
        kept = read_record(_Kept, self.path, AGAIN)
        if kept.hash != digest(to_json(kept.lines)):
            raise UserError(f"{self.path} was changed by hand; {AGAIN}")
        return {line.index: line for line in kept.lines}

    def _keep(self, known: Mapping[int, RecipeLine]) -> None:
        lines = tuple(known[index] for index in sorted(known))
        write_json(self.path, to_json(_Kept(lines, digest(to_json(lines)))))

    def _draw(self, indices: Sequence[int], num_processes: int) -> Iterator[list[RecipeLine]]:
        """Draw lines host by host, so that each is read once."""
        by_host = defaultdict(list)
        for index in indices:
            by_host[self._host_of(index)].append(index)
        return in_parallel(self._draw_lines, list(by_host.items()), num_processes, "Drawing tumours", "host")

    def _host_of(self, index: int) -> str:
        return in_turn(self.hosts, [self.seed, REAL if self.patients else HEALTHY], index)

    def _draw_lines(self, turn: tuple[str, Sequence[int]]) -> list[RecipeLine]:
        name, indices = turn
        host = self._read(name)
        return [self._draw_line(host, index) for index in indices]

    def _draw_line(self, first: HostAnatomy, index: int) -> RecipeLine:
        rng = np.random.default_rng([self.seed, DONOR, index])
        reasons, tried = [], []
        for host in self._tried(first, np.random.default_rng([self.seed, SPARE, index])):
            try:
                placed = self._sampler_for(host.name, rng).sample(host, rng)
            except PlacementError as reason:
                reasons.append(str(reason))
                tried.append(host.name)
            else:
                strength = self.sampler.strength(np.random.default_rng([self.seed, STRENGTH, index]))
                names = (None, host.name) if self.patients else (host.name, None)
                return RecipeLine(index, *names, placed.tumours, seed_of(self.seed, index), strength)
        where = "patients" if self.patients else "healthy scans"
        raise NowhereError(
            f"No tumour could be placed as asked for in {len(tried)} {where}, {', '.join(tried)}: "
            f"{'; '.join(dict.fromkeys(reasons))}. Ask for less."
        )

    def _sampler_for(self, host: str, rng: np.random.Generator) -> TumourSampler:
        """Return what a host's tumours are drawn by: other patients' where hosts are patients, or its own."""
        if not self.patients:
            return self.sampler
        bank = self.sampler.bank
        own = [name for name in bank.by_donor if self.patients[name] == self.patients[host]]
        others = [name for name in bank.by_donor if name not in own]
        within = bool(own) and (not others or rng.random() < self.sampler.config.within)
        return replace(self.sampler, bank=bank.restricted_to(own if within else others))

    def _tried(self, first: HostAnatomy, rng: np.random.Generator) -> Iterator[HostAnatomy]:
        """Yield the host whose turn it is, then a few others."""
        yield first
        others = sorted(set(self.hosts) - {first.name})
        for place in rng.permutation(len(others))[:SPARES]:
            yield self._read(others[place])

    def _read(self, name: str) -> HostAnatomy:
        return read_host(self.hosts[name].open(), self.sampler.config.around_fluid)
