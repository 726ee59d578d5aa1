"""A set as it is measured. In: its part of a fold. Out: its cases, the real ones, and cases made on free sides."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.folds import fold_split
from nnunetv2_tf.dataset.provenance import CaseEntry
from nnunetv2_tf.io.arguments import Fold
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.json_dataclass import read_record
from nnunetv2_tf.io.parallel import Share
from nnunetv2_tf.methods.lookup import find_method, in_steps
from nnunetv2_tf.registration.affines import ways_to_scans
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.synthesis.cohort import Cohort
from nnunetv2_tf.synthesis.fitting import fit_for
from nnunetv2_tf.synthesis.free_sides import FreeSidePart, FreeSidePool
from nnunetv2_tf.synthesis.host_pool import HostPool
from nnunetv2_tf.synthesis.placing_pools import hosts_for
from nnunetv2_tf.synthesis.set_builder import SetBuilder
from nnunetv2_tf.synthesis.set_config import CURE, SetConfig
from nnunetv2_tf.working_space.preprocess import Plan
from nnunetv2_tf.working_space.stored import Case, OpenCase


@dataclass(frozen=True)
class MeasuredCase:
    """A synthetic case with what it is of."""

    case: OpenCase
    tumour: np.ndarray  # (Z, Y, X) int16: what was put in
    host: str
    donors: tuple[str, ...]


@dataclass(frozen=True)
class MeasuredSet:
    """One fold's part of a set, with all that it was made by."""

    part: SetPart
    num_processes: int
    device: str

    @classmethod
    def of(cls, dataset: Dataset, set_name: str, fold: Fold, num_processes: int, device: str) -> "MeasuredSet":
        """Open a part; raise when it was not made here."""
        part = SetPart(dataset, set_name, fold)
        part.check_exists()
        if not part.config_path.exists():
            raise UserError(
                f"Set {set_name} of fold {fold} holds cases from elsewhere, and how to make more of them is not known; "
                "figures and pages are for sets that nnUNetv2_tf_synthesize made."
            )
        return cls(part, num_processes, device)

    def check_holds_out(self) -> None:
        """Raise when its fold holds nobody out."""
        if self.part.fold == "all":
            raise UserError("Fold all holds nobody out, so that nothing real is left to compare with; take a number.")

    @cached_property
    def config(self) -> SetConfig:
        """What the set was made by."""
        return read_record(SetConfig, self.part.config_path, CURE)

    @cached_property
    def hosts(self) -> HostPool:
        """The set's hosts."""
        config, dataset = self.config, self.part.dataset
        plan = Plan.read(dataset, config.plans, config.configuration)
        healthy = None if config.healthy is None else Dataset.find(config.healthy)
        cohort, method = Cohort(dataset, plan, self.part.fold, healthy), find_method(config.method, config.preset)
        return hosts_for(method, cohort, config.seed or 0, config.controls or {}, self.num_processes)

    @property
    def cohort(self) -> Cohort:
        """The fold's cases."""
        return self.hosts.cohort

    @property
    def real(self) -> Mapping[str, Case]:
        """All real cases with a tumour, training or validating."""
        return self.cohort.labelled

    @cached_property
    def validating(self) -> tuple[str, ...]:
        """The names of the real cases that no method of this fold saw."""
        split = fold_split(self.part.dataset, self.part.fold, list(self.cohort.files))
        return tuple(name for name in split.val if name in self.real)

    def made(self) -> Iterator[MeasuredCase]:
        """Yield the set's cases as trainers read them."""
        plan = self.cohort.plan
        self.part.preprocess(plan, self.num_processes)
        for entry in self.part.manifest().accepted:
            case, (host, donors) = self._case(self.part, entry), self._who(self.part, entry)
            yield MeasuredCase(case, self._put_in(case, host), host, donors)

    def on_free_sides(self, number: int) -> Iterator[MeasuredCase]:
        """Make cases with patients as hosts, as far as that was not done before, and yield them."""
        healthy, real = self.cohort.healthy, self.cohort.training_files
        ways = {} if healthy is None else ways_to_scans(self.part.dataset, healthy, real)
        if not all(np.allclose(way, np.eye(4)) for way in ways.values()):
            raise UserError("patients do not lie in the healthy scans' space, in which tumours are placed")
        pool = FreeSidePool(self.cohort, self.hosts.seed, self.hosts)
        lines = tuple(pool.lines(number))
        if not lines:
            return
        config, part = self.config, self.part
        method = find_method(config.method, config.preset)
        fit = fit_for(self.hosts, method)
        if fit is not None and fit.digest != config.fit:
            raise UserError(
                f"Set {part.set_name} of fold {part.fold} was made with another fit of {method.name} than there is "
                "now; make the set anew with --overwrite, or measure another one."
            )
        steps = config.config.get("steps") if isinstance(config.config, dict) else None
        if steps is not None and steps != getattr(method.config, "steps", steps):  # as was asked for with -T
            method = in_steps(method, steps)
            fit = fit and replace(fit, method=method)
        free = FreeSidePart(part.dataset, part.set_name, part.fold)
        builder = SetBuilder(free, method, pool, fit, None, lines, self.num_processes, self.device)
        try:
            builder.start()
        except UserError:  # begun in another way: such cases are worth nothing by themselves, and are made anew
            builder.start(overwrite=True)
        builder.make(Share())
        builder.finish(Share())
        free.preprocess(self.cohort.plan, self.num_processes)
        for entry in free.manifest().accepted:
            case, (host, donors) = self._case(free, entry), self._who(free, entry)
            yield MeasuredCase(case, self._put_in(case, host), host, donors)

    def _put_in(self, case: OpenCase, host: str) -> np.ndarray:
        """Return a case's tumour map (Z, Y, X) without what its host, a patient, had there before."""
        tumour = case.tumour()
        if host not in self.real:
            return tumour
        before = self.real[host].open().tumour()
        if before.shape != tumour.shape:  # nnU-Net cropped the made case in another way
            return tumour
        return np.where(tumour == before, 0, tumour).astype(np.int16)

    def finished(self, entry: CaseEntry) -> OpenCase:
        """Return a case of the set as trainers read it; preprocess the part before."""
        return self._case(self.part, entry)

    def _case(self, part: SetPart, entry: CaseEntry) -> OpenCase:
        return part.case(entry, next(iter(self.cohort.training.values())), self.cohort.plan).open()

    def _who(self, part: SetPart, entry: CaseEntry) -> tuple[str, tuple[str, ...]]:
        sidecar = part.sidecar(entry.case)
        return str(sidecar.host), (*sidecar.donors, *sidecar.pseudo_donors)
