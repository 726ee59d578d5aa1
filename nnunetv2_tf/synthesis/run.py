"""Makes one fold's part of a set from a recipe: all of it, or the share of one of several jobs; again and again.

What is there is kept, what is missing is made. Lines that cannot be used (a tumour outside the host's organ) are
replaced by further lines, so that a set holds as many cases as promised: the first so many usable ones in line order,
whatever the parts, workers and interruptions. The manifest comes last and makes the cases count.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from nnunetv2_tf.cases import CaseFiles, case_digest
from nnunetv2_tf.errors import UserError
from nnunetv2_tf.meaning import Meaning
from nnunetv2_tf.methods.lookup import FoundMethod
from nnunetv2_tf.preparation.preprocess import Plan
from nnunetv2_tf.preparation.stored import Case
from nnunetv2_tf.provenance import FORMAT, CaseEntry, Manifest, Sidecar, versions
from nnunetv2_tf.records import to_json
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.stamps import digest, file_digest
from nnunetv2_tf.synthesis.fits import FittedMethod
from nnunetv2_tf.synthesis.hosts import Hosts
from nnunetv2_tf.synthesis.making import Task, case_name, make_case, skipped_path
from nnunetv2_tf.synthesis.order import Order
from nnunetv2_tf.tumours.recipe import Line, read_recipe, write_recipe
from nnunetv2_tf.work import Share, in_parallel, read_json

TRIES = 10  # lines per promised case before giving up
SHOWN = 3  # reasons in one message


@dataclass(frozen=True)
class Run:
    """The making of one part of a set."""

    part: SetPart
    plan: Plan
    method: FoundMethod
    hosts: Hosts
    fitted: FittedMethod | None  # None: a method that learns nothing
    num_cases: int | None  # None: every line of the given recipe
    given: tuple[Line, ...] | None  # a recipe to follow instead of drawing one
    num_processes: int
    device: str = "cpu"
    remade: set[str] = field(default_factory=set)  # cases made by this run

    def check(self, overwrite: bool) -> None:
        """Raises when this cannot be begun or continued; changes nothing of the set."""
        order = self.order
        self._first_lines(self.num_cases or 1)
        if self.part.exists() and not self.part.config_path.exists():
            raise UserError(
                f"Set {self.part.set_name} of fold {self.part.fold} holds cases from elsewhere "
                f"({self.part.manifest().method}); take another name with -s."
            )
        if not overwrite and self.part.config_path.exists():
            order.refuse_other(self.part.config_path, self._called)

    def start(self, overwrite: bool = False) -> None:
        """Checks the order against an earlier one and writes config.json and recipe.jsonl."""
        with self.part.lock:
            self.check(overwrite)
            if overwrite:
                self.part.remove()
            self.order.place(self.part.config_path, self._called)
            self._store_recipe(self.lines())
            self._refuse_other_sources()

    def make(self, share: Share) -> None:
        """Makes what is missing of this job's share."""
        self._make([line for line in self.lines() if line.index in share])

    def finish(self, share: Share) -> int:
        """Writes the manifest once all lines are done; returns how many other jobs have not done yet."""
        with self.part.lock:
            self.order.refuse_other(self.part.config_path, self._called)
            promised = self._promised
            while True:
                lines = self.lines()
                missing = [line for line in lines if self._missing(line)]
                if not missing:
                    break
                others = [line for line in missing if line.index not in share and line.index < (promised or len(lines))]
                if others:
                    return len(others)
                self._store_recipe(lines)
                self._make(missing)
                assert any(not self._missing(line) for line in missing)  # else this would go on for ever
            self._write_manifest(lines)
        return 0

    def lines(self) -> list[Line]:
        """The first lines of the recipe of which, as far as is known, enough can be used."""
        wanted = self._promised
        if wanted is None:
            return list(self.given or ())
        length = wanted
        while True:
            lines = self._first_lines(length)
            usable = sum(not self.skipped_path(line).exists() for line in lines)
            if usable >= wanted:
                return lines
            if length >= TRIES * max(TRIES, wanted) or len(lines) < length:
                raise UserError(
                    f"Only {usable} of the {len(lines)} lines of the recipe can be used for set {self.part.set_name}, "
                    f"fold {self.part.fold}, and {wanted} cases were asked for; ask for fewer, or give another recipe. "
                    f"Reasons: {'; '.join(sorted(set(self.skipped(lines)))[:SHOWN])}"
                )
            length += wanted - usable

    def skipped(self, lines: Sequence[Line]) -> list[str]:
        """Why some lines became no case."""
        paths = [self.skipped_path(line) for line in lines]
        return [read_json(path, "delete it.")["reason"] for path in paths if path.exists()]

    def skipped_path(self, line: Line) -> Path:
        """Where it says why a line became no case."""
        return skipped_path(self.part, line.index)

    def made_case(self, line: Line) -> Case:
        """The finished and preprocessed case of a line."""
        folder = self.part.preprocessed(self.plan.data_identifier)
        dataset = self.part.dataset
        files = self._files(line)
        return Case(dataset, self.plan, files, ("case", files.identifier), Meaning.read(dataset), folder)

    @property
    def recipe_path(self) -> Path:
        """recipe.jsonl of the part."""
        return self.part.folder / "recipe.jsonl"

    @cached_property
    def order(self) -> Order:
        """What config.json says."""
        seed = self.hosts.seed if self.given is None else None
        if self.fitted is None:
            return Order.of(self.hosts, self.method, seed)
        return Order.of(self.hosts, self.method, seed, self.fitted.baseline, self.fitted.digest)

    @property
    def _called(self) -> str:
        return f"Set {self.part.set_name}"

    @property
    def _promised(self) -> int | None:
        """How many cases the set is to have, never fewer than it has; None: what a given recipe yields."""
        if self.num_cases is None:
            return None
        return max(self.num_cases, len(self.part.manifest().accepted) if self.part.exists() else 0)

    def _first_lines(self, number: int) -> list[Line]:
        """The first so many lines of the recipe, or all there are of a given one."""
        if self.given is not None:
            return list(self.given[:number])
        return self.hosts.lines(number)

    def _refuse_other_sources(self) -> None:
        """Raises when scans that finished cases were made of have changed since."""
        current: dict[str, str] = {}
        for line in self.lines():
            sidecar = self._sidecar(line)
            for name, source in ({} if sidecar is None else sidecar.sources).items():
                if name not in current:
                    current[name] = case_digest(self.hosts.cases[name].files)
                if current[name] != source:
                    raise UserError(
                        f"The files of {name} have changed since set {self.part.set_name} of fold {self.part.fold} was "
                        "begun; put them back, take another set name with -s, or make the set anew with --overwrite."
                    )

    def _store_recipe(self, lines: Sequence[Line]) -> None:
        """Writes recipe.jsonl; it may only grow longer."""
        there = read_recipe(self.recipe_path) if self.recipe_path.exists() else []
        for old, new in zip(there, lines, strict=False):
            if old != new:
                raise UserError(
                    f"{self.recipe_path} differs from what is asked in line {old.index + 1}; a recipe may only grow "
                    "longer. Take another set name with -s, or make this set anew with --overwrite."
                )
        if len(lines) > len(there):
            write_recipe(lines, self.recipe_path)
        elif self.num_cases is None and len(lines) < len(there):
            raise UserError(
                f"Set {self.part.set_name} of fold {self.part.fold} follows {len(there)} lines of a longer recipe "
                f"({self.recipe_path}) already; give that one, or take another name with -s."
            )

    def _missing(self, line: Line) -> bool:
        return not self.skipped_path(line).exists() and not self._made(line)

    def _made(self, line: Line) -> bool:
        files = self._files(line)
        return self._sidecar(line) is not None and all(path.is_file() for path in (files.label, *files.images))

    def _sidecar(self, line: Line) -> Sidecar | None:
        """The sidecar of a finished case; None when there is none, or one of another line."""
        case = case_name(self.part, line.index)
        try:
            sidecar = self.part.sidecar(case)
        except UserError:
            return None
        found = (sidecar.line, sidecar.host, sidecar.donors, sidecar.seed)
        if found != (line.index, line.host, line.donors, line.seed):
            return None
        other = line.healthy_host is not None and sidecar.controls.get("transforms") != to_json(line.tumours)
        return None if other else sidecar

    def _files(self, line: Line) -> CaseFiles:
        description = self.plan.dataset_json
        channels = len(description["channel_names"])
        return self.part.case_files(case_name(self.part, line.index), description["file_ending"], channels)

    def _make(self, lines: Sequence[Line]) -> None:
        tasks = [self._task(line) for line in lines if self._missing(line)]
        description = f"Making {self.part.set_name}, fold {self.part.fold}"
        self.remade.update(task.identifier for task in tasks)
        if tasks:
            for _ in in_parallel(make_case, tasks, self.num_processes, description):
                pass

    def _task(self, line: Line) -> Task:
        hosts = self.hosts
        learnt = None if self.fitted is None else self.fitted.learnt
        host, sites = hosts.cases[line.host], hosts.sites(line)
        return Task(line, host, sites, self.method, self.part, tuple(hosts.files), learnt, self.device)

    def _write_manifest(self, lines: Sequence[Line]) -> None:
        before = {entry.case: entry for entry in self.part.manifest().cases} if self.part.exists() else {}
        kept = {case: entry for case, entry in before.items() if case not in self.remade}
        made = [line for line in lines if self._made(line)][: self._promised]
        entries = tuple(kept.get(case_name(self.part, line.index)) or self._entry(line) for line in made)
        if not entries:
            raise UserError(
                f"No line of {self.recipe_path} could be used; give other ones. "
                f"Reasons: {'; '.join(sorted(set(self.skipped(lines)))[:SHOWN])}"
            )
        if tuple(before.values()) == entries:
            return
        manifest = Manifest(
            format=FORMAT,
            set=self.part.set_name,
            dataset=self.part.dataset.name,
            fold=self.part.fold,
            method=self.method.name,
            preset=self.method.preset,
            config_hash=self.order.hash,
            recipe_hash=digest([to_json(line) for line in read_recipe(self.recipe_path)]),
            healthy=self.order.healthy,
            baseline=self.order.baseline,
            versions=versions(),
            cases=entries,
        )
        manifest.write(self.part.manifest_path)

    def _entry(self, line: Line) -> CaseEntry:
        files = self._files(line)
        hashes = tuple(file_digest(image) for image in files.images)
        return CaseEntry(files.identifier, line.index, True, hashes, file_digest(files.label))
