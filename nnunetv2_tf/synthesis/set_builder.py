"""Builds one fold's part of a set from a recipe: all of it, or the share of one of several jobs; again and again.

What is there is kept, what is missing is made. Lines that cannot be used (a tumour outside the host's organ) are
replaced by further lines, so that a set holds as many cases as promised: the first so many usable ones in line order,
whatever the parts, workers and interruptions. The manifest comes last and makes the cases count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nnunetv2_tf.dataset.cases import CaseFiles
from nnunetv2_tf.dataset.label_roles import LabelRoles
from nnunetv2_tf.dataset.provenance import FORMAT, CaseEntry, Manifest, Sidecar, versions
from nnunetv2_tf.io.digests import digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json
from nnunetv2_tf.io.json_dataclass import to_json
from nnunetv2_tf.io.parallel import Share, in_parallel
from nnunetv2_tf.io.written import are_whole, record_of
from nnunetv2_tf.methods.lookup import SelectedMethod
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.synthesis.acceptance import Acceptance, FilterRule, frequent
from nnunetv2_tf.synthesis.case_maker import CaseTask, case_name, make_case
from nnunetv2_tf.synthesis.fit_result import FitResult
from nnunetv2_tf.synthesis.host_pool import HostPool
from nnunetv2_tf.synthesis.set_config import SetConfig
from nnunetv2_tf.synthesis.sources import first_changed
from nnunetv2_tf.tumours.recipe import RecipeLine, read_recipe, write_recipe
from nnunetv2_tf.working_space.stored import Case

TRIES = 10  # lines per promised case before giving up
HOPELESS = 20  # first lines of a recipe none of which can be used


@dataclass(frozen=True)
class SetBuilder:
    """The making of one part of a set."""

    part: SetPart
    method: SelectedMethod
    hosts: HostPool
    fit: FitResult | None  # None: a method that learns nothing
    num_cases: int | None  # None: every line of the given recipe
    given: tuple[RecipeLine, ...] | None  # a recipe to follow instead of drawing one
    num_processes: int
    device: str = "cpu"
    filter: FilterRule | None = None

    def check(self, overwrite: bool) -> None:
        """Raise when this cannot be begun or continued; change nothing of the set."""
        if self.filter is not None:
            self.filter.check()
        config = self.config
        self._first_lines(self.num_cases or 1)
        if self.part.exists() and not self.part.config_path.exists():
            raise UserError(
                f"Set {self.part.set_name} of fold {self.part.fold} holds cases from elsewhere "
                f"({self.part.manifest().method}); take another name with -s."
            )
        if not overwrite and self.part.config_path.exists():
            config.check_same(self.part.config_path, self._called)

    def start(self, overwrite: bool = False) -> None:
        """Compare with an earlier config.json, or write it; write recipe.jsonl."""
        with self.part.lock:
            self.check(overwrite)
            if overwrite:
                self.part.remove()
            self.config.write_or_check(self.part.config_path, self._called)
            self._store_recipe(self.lines())
            self._check_same_sources()

    def make(self, share: Share) -> None:
        """Make what is missing of this job's share."""
        self._make([line for line in self.lines() if line.index in share])

    def finish(self, share: Share) -> int:
        """Write the manifest once all lines are done; return how many other jobs have not done yet."""
        with self.part.lock:
            self.config.check_same(self.part.config_path, self._called)
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

    def lines(self) -> list[RecipeLine]:
        """Return the first lines of the recipe of which, as far as is known, enough can be used."""
        wanted = self._promised
        if wanted is None:
            return list(self.given or ())
        lines, usable = list[RecipeLine](), 0
        while usable < wanted:
            more = 0 if len(lines) >= TRIES * max(TRIES, wanted) else wanted - usable
            longer = self._first_lines(len(lines) + more)
            if len(longer) == len(lines):
                raise UserError(
                    f"Only {usable} of the {len(lines)} lines of the recipe can be used for set {self.part.set_name}, "
                    f"fold {self.part.fold}, and {wanted} cases were asked for; ask for fewer, or give another recipe. "
                    f"Reasons: {frequent(self.skipped(lines))}"
                )
            usable += sum(not self.skipped_path(line).exists() for line in longer[len(lines) :])
            lines = longer
        return lines

    def skipped(self, lines: Sequence[RecipeLine]) -> list[str]:
        """Why some lines became no case."""
        paths = [self.skipped_path(line) for line in lines]
        return [read_json(path, "delete it.")["reason"] for path in paths if path.exists()]

    def rejected(self, line: RecipeLine) -> str:
        """Why a case of this line was made and not taken; empty where none was, or it was."""
        path = self.skipped_path(line)
        note = read_json(path, "delete it.") if path.exists() else {}
        return note["reason"] if "quality" in note else ""

    def skipped_path(self, line: RecipeLine) -> Path:
        """Where it says why a line became no case."""
        return self.part.skipped_path(case_name(self.part, line.index))

    def made_case(self, line: RecipeLine) -> Case:
        """Return the finished and preprocessed case of a line."""
        plan, dataset, files = self.hosts.cohort.plan, self.part.dataset, self._files(line)
        folder = self.part.preprocessed(plan.data_identifier)
        return Case(dataset, plan, files, ("case", files.identifier), LabelRoles.read(dataset), folder)

    @property
    def recipe_path(self) -> Path:
        """recipe.jsonl of the part."""
        return self.part.folder / "recipe.jsonl"

    @cached_property
    def config(self) -> SetConfig:
        """What config.json says."""
        seed = self.hosts.seed if self.given is None else None
        learnt = {} if self.fit is None else self.fit.recorded
        return SetConfig.of(self.hosts, self.method, seed, **learnt, filter_=self.filter and self.filter.record)

    @cached_property
    def acceptance(self) -> Acceptance:
        """What finished cases are held against."""
        return Acceptance.of(self.hosts.cohort, self.method.checked, self.filter, self.num_processes)

    @property
    def _called(self) -> str:
        return f"Set {self.part.set_name}"

    @property
    def _promised(self) -> int | None:
        """How many cases the set is to have, never fewer than it has; None: what a given recipe yields."""
        if self.num_cases is None:
            return None
        return max(self.num_cases, len(self.part.manifest().accepted) if self.part.exists() else 0)

    def _first_lines(self, number: int) -> list[RecipeLine]:
        """Return the first so many lines of the recipe, or all there are of a given one."""
        if self.given is not None:
            return list(self.given[:number])
        return self.hosts.lines(number)

    def _check_same_sources(self) -> None:
        """Raise when scans that finished cases were made of have changed since."""
        sidecars = (self._sidecar(line) for line in self.lines())
        finished = (one for one in sidecars if one is not None)
        name = first_changed(finished, self.hosts.cases)
        if name is not None:
            raise UserError(
                f"The files of {name} have changed since set {self.part.set_name} of fold {self.part.fold} was "
                "begun; put them back, take another set name with -s, or make the set anew with --overwrite."
            )

    def _store_recipe(self, lines: Sequence[RecipeLine]) -> None:
        """Write recipe.jsonl; it may only grow longer."""
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

    def _missing(self, line: RecipeLine) -> bool:
        return not self.skipped_path(line).exists() and self._made(line) is None

    def _made(self, line: RecipeLine) -> Sidecar | None:
        """Return the sidecar of a case whose files are whole; None when it has yet to be made."""
        sidecar, files = self._sidecar(line), self._files(line)
        paths = (*files.images, files.label)
        return sidecar if sidecar is not None and are_whole(self.part.folder, paths, sidecar.files) else None

    def _sidecar(self, line: RecipeLine) -> Sidecar | None:
        """Return the sidecar of a finished case; None when there is none, or one of another line or config."""
        case = case_name(self.part, line.index)
        try:
            sidecar = self.part.sidecar(case)
        except UserError:
            return None
        donors = (line.donors_among(sidecar.ancestors), line.donors_among(self.hosts.cohort.names.pseudo))
        recorded = (sidecar.line, sidecar.host, (sidecar.donors, sidecar.pseudo_donors), sidecar.seed)
        another_config = sidecar.config_hash not in (None, self.config.hash)  # by a job from before --overwrite
        if another_config or recorded != (line.index, line.host, donors, line.seed):
            return None
        transforms = sidecar.controls.get("transforms")
        placed = line.healthy_host is not None or transforms is not None
        return None if placed and transforms != to_json(line.tumours) else sidecar

    def _files(self, line: RecipeLine) -> CaseFiles:
        description = self.hosts.cohort.plan.dataset_json
        channels = len(description["channel_names"])
        return self.part.case_files(case_name(self.part, line.index), description["file_ending"], channels)

    def _make(self, lines: Sequence[RecipeLine]) -> None:
        tasks = [self.task(line) for line in lines if self._missing(line)]
        description = f"Making {self.part.set_name}, fold {self.part.fold}"
        if tasks:
            self._check_hope()
            for _ in in_parallel(make_case, tasks, self.num_processes, description):
                self._check_hope()

    def _check_hope(self) -> None:
        """Raise when none of the recipe's first lines can be used, whoever tried them: hardly any other one could."""
        done = (self.part.skipped_path(case_name(self.part, index)) for index in range(HOPELESS))
        if not all(path.exists() for path in done):
            return
        reasons = self.skipped(self._first_lines(HOPELESS))
        if len(reasons) == HOPELESS:
            raise UserError(
                f"None of the first {HOPELESS} lines of the recipe can be used for set {self.part.set_name}, fold "
                f"{self.part.fold}, so it was given up. Reasons: {frequent(reasons)}"
            )

    def task(self, line: RecipeLine) -> CaseTask:
        """Return what it takes to make a line's case."""
        hosts = self.hosts
        return CaseTask(
            host=hosts.cases[line.host],
            site_builder=hosts.site_builder(line),
            method=self.method,
            part=self.part,
            geometry_ancestors=tuple(hosts.cohort.files),
            fit=self.fit,
            acceptance=self.acceptance,
            device=self.device,
            pseudo=hosts.cohort.pseudo,
            config_hash=self.config.hash,
        )

    def _write_manifest(self, lines: Sequence[RecipeLine]) -> None:
        before = self.part.manifest().cases if self.part.exists() else ()
        made = ((line, self._made(line)) for line in lines)
        entries = tuple(self._entry(line, sidecar) for line, sidecar in made if sidecar is not None)[: self._promised]
        if not entries:
            raise UserError(
                f"No line of {self.recipe_path} could be used; give other ones. "
                f"Reasons: {frequent(self.skipped(lines))}"
            )
        if before == entries:
            return
        manifest = Manifest(
            format=FORMAT,
            set=self.part.set_name,
            dataset=self.part.dataset.name,
            fold=self.part.fold,
            method=self.method.name,
            preset=self.method.preset,
            config_hash=self.config.hash,
            recipe_hash=digest([to_json(line) for line in read_recipe(self.recipe_path)]),
            healthy=self.config.healthy,
            baseline=self.config.baseline,
            unlabelled=self.config.unlabelled,
            pseudo_labels=self.config.pseudo_labels,
            versions=versions(),
            cases=entries,
        )
        manifest.write(self.part.manifest_path)

    def _entry(self, line: RecipeLine, sidecar: Sidecar) -> CaseEntry:
        files = self._files(line)
        paths = (*files.images, files.label)
        written = sidecar.files or record_of(self.part.folder, paths)  # older sidecars do not tell
        *images, label = (written[path.relative_to(self.part.folder).as_posix()].sha256 for path in paths)
        return CaseEntry(files.identifier, line.index, True, tuple(images), label)
