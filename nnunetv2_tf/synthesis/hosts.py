"""Who receives tumours in a fold, and how lines come to be: real hosts, or healthy ones. What a worker needs of it."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nnunetv2_tf.arguments import Fold
from nnunetv2_tf.cases import CaseFiles, raw_cases
from nnunetv2_tf.errors import UserError
from nnunetv2_tf.folders import RECIPES, Dataset
from nnunetv2_tf.meaning import Meaning, class_values
from nnunetv2_tf.methods.base import Site
from nnunetv2_tf.preparation.affines import ways_to_scans
from nnunetv2_tf.preparation.healthy import healthy_cases, healthy_stamps
from nnunetv2_tf.preparation.preprocess import Plan
from nnunetv2_tf.preparation.stored import Case, training_cases
from nnunetv2_tf.synthesis.harmonise import RULES
from nnunetv2_tf.synthesis.sites import HealthySites, RealSites, Sites, healthy_site, with_looks
from nnunetv2_tf.tumours.bank import Bank, make_bank
from nnunetv2_tf.tumours.drawing import Draw, Unplaceable
from nnunetv2_tf.tumours.drawn import Drawn
from nnunetv2_tf.tumours.hosting import read_host
from nnunetv2_tf.tumours.recipe import Cohort, Line, draw_line, refuse_outsiders
from nnunetv2_tf.tumours.settings import Controls, Drawing

LOOK = 1  # stream of a line's random numbers
TRIED = 20  # hosts for one site
APART = 0.5  # of the cohort's extent: brains whose centres are further apart do not share a space


@dataclass(frozen=True)
class Hosts(ABC):
    """The hosts of one fold."""

    dataset: Dataset
    plan: Plan
    fold: Fold
    seed: int

    @cached_property
    def files(self) -> Mapping[str, CaseFiles]:
        """All real cases of the dataset; nnU-Net's fingerprint and plans are made of them."""
        return raw_cases(self.dataset)

    @cached_property
    def training(self) -> Mapping[str, Case]:
        """The fold's training cases."""
        cases = training_cases(self.files, self.dataset, self.plan, self.fold)
        return {case.identifier: case for case in cases}

    @property
    def training_files(self) -> Mapping[str, CaseFiles]:
        """Theirs."""
        return {name: self.files[name] for name in self.training}

    @cached_property
    def cohort(self) -> Cohort:
        """Who may be host and donor."""
        groups = {name: case.group for name, case in self.training.items()}
        return Cohort(groups, [name for name, case in self.training.items() if case.has_tumour()], self._healthy_names)

    @property
    def order(self) -> dict[str, Any]:
        """What of this decides what cases look like, for config.json."""
        return {}

    def refuse(self, lines: Sequence[Line], path: Path) -> None:
        """Raises when lines of a given recipe name others than these."""
        refuse_outsiders(lines, self.cohort, path)

    @property
    @abstractmethod
    def cases(self) -> Mapping[str, Case]:
        """Who may be host, by name."""

    @abstractmethod
    def lines(self, number: int) -> list[Line]:
        """The first lines of the recipe."""

    @abstractmethod
    def sites(self, line: Line) -> Sites:
        """How a line comes to be a site; for other processes."""

    @property
    @abstractmethod
    def _healthy_names(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class RealHosts(Hosts):
    """Tumours go from one training case to another, and stay where and as they are."""

    @property
    def cases(self) -> Mapping[str, Case]:
        """The training cases."""
        return self.training

    def lines(self, number: int) -> list[Line]:
        """Drawn in no time."""
        return [draw_line(self.cohort, self.seed, index) for index in range(number)]

    def sites(self, line: Line) -> Sites:
        """With the donors."""
        return RealSites({name: self.training[name] for name in line.donors})

    @property
    def _healthy_names(self) -> Sequence[str]:
        return ()


@dataclass(frozen=True)
class HealthyHosts(Hosts):
    """Tumours of training cases go into healthy scans, drawn anew by the cohort's likeness or as asked for."""

    healthy: Dataset
    drawing: Drawing
    harmonised: bool = True  # whether each takes over the looks of a training case
    asked: Mapping[str, Any] = field(default_factory=dict)  # as Controls, but fractions by the classes' names
    num_processes: int = 1

    @cached_property
    def cases(self) -> Mapping[str, Case]:
        """The healthy scans."""
        return {case.identifier: case for case in healthy_cases(self.dataset, self.healthy, self.plan)}

    def lines(self, number: int) -> list[Line]:
        """Drawn once, then kept."""
        return self._drawn.first(number, self.num_processes)

    def sites(self, line: Line) -> Sites:
        """With the donors' tumours."""
        return self._sites(line.donors, self._model(np.random.default_rng([line.seed, LOOK])))

    def sample_site(self, with_donors: bool, rng: np.random.Generator) -> Site:
        """A site of its own, for methods that learn; independent of any recipe."""
        names, reasons = sorted(self.cases), []
        for _ in range(TRIED):
            case = replace(self.cases[names[rng.integers(len(names))]])
            host = read_host(case, self.drawing.around_fluid)
            try:
                tumours, hosted = self._drawn.draw.tumours(host, rng)
            except Unplaceable as reason:
                reasons.append(f"{case.identifier}: {reason}")
            else:
                sites = self._sites([tumour.donor for tumour in tumours], self._model(rng))
                donors = sites.donors_of(tumours, hosted, host) if with_donors else ()
                site = healthy_site(case, host, hosted, donors)
                return site if sites.model is None else with_looks(site, case, sites.model)[0]
        raise UserError(f"No tumour could be placed in {TRIED} healthy scans ({'; '.join(reasons)}); look at them.")

    @property
    def order(self) -> dict[str, Any]:
        """Other tumours or hosts make another recipe, and other cases of the same one."""
        return {
            "healthy": self.healthy.name,
            "harmonised": RULES if self._has_models else None,
            "controls": dict(self.asked),
            "tumours": self._drawn.digest,
        }

    def as_fitted(self, seed: int) -> "HealthyHosts":
        """What a method is fitted with: nobody's wishes, and a seed of its own."""
        fitted = replace(self, seed=seed, asked={})
        read = ("files", "training", "cohort", "cases", "bank")
        for name in set(read) & set(self.__dict__):
            object.__setattr__(fitted, name, self.__dict__[name])  # once is enough
        return fitted

    @cached_property
    def bank(self) -> Bank:
        """The training cases' tumours, where they lie among the healthy brains."""
        bank = make_bank(list(self.training.values()), ways_to_scans(self.dataset, self.healthy, self.training_files))
        self._refuse_apart(bank)
        return bank

    def _sites(self, donors: Collection[str], model: Case | None) -> HealthySites:
        return HealthySites(
            self.bank.of(donors), {name: self.training[name] for name in donors}, model,
            self.drawing.around_fluid, tuple(self.training), self.asked, self._names,
        )  # fmt: skip

    def _model(self, rng: np.random.Generator) -> Case | None:
        """The training case that a host is to look like."""
        if not self._has_models:
            return None
        return self.training[sorted(self.training)[rng.integers(len(self.training))]]

    @cached_property
    def _has_models(self) -> bool:
        """Whether hosts are harmonised: asked for, and what the organ is is known of real cases too.

        Else it is all of the scan, air and all, and a liver would come to look like that.
        """
        return self.harmonised and (self.plan.masked or bool(Meaning.read(self.dataset).organ))

    @property
    def _healthy_names(self) -> Sequence[str]:
        return list(self.cases)

    @cached_property
    def _drawn(self) -> Drawn:
        controls = self._controls
        controls.refuse_impossible(self.bank, self.drawing, self._names)
        known = healthy_stamps(self.dataset, self.healthy, self.plan)
        stamps = {name: known[name] for name in self.cases}
        folder = self.dataset.preprocessed / "tf" / RECIPES
        return Drawn(Draw(self.bank, self.drawing, controls), self.cases, stamps, self.seed, folder)

    @property
    def _controls(self) -> Controls:
        values = class_values(self.dataset)
        asked = dict(self.asked)
        fractions = asked.pop("class_fraction", {})
        unknown = sorted(set(fractions) - set(values))
        if unknown:
            raise UserError(f"-class_fraction {unknown[0]}: the tumour's classes are {', '.join(values)}.")
        return Controls(**asked, fractions={values[name]: span for name, span in fractions.items()})

    @cached_property
    def _names(self) -> Mapping[int, str]:
        return {value: name for name, value in class_values(self.dataset).items()}

    def _refuse_apart(self, bank: Bank) -> None:
        """Raises when the healthy brains lie elsewhere than the real ones."""
        case = next((case for case in map(replace, self.cases.values()) if case.organ().any()), None)
        if case is None:
            raise UserError(f"No scan of {self.healthy.name} has any of its label, the organ; convert them again.")
        centre = case.grid.affine @ [*np.argwhere(case.organ()).mean(axis=0), 1]
        away = np.abs(centre[:3] - bank.extent.mean(axis=0)) / np.diff(bank.extent, axis=0)[0]
        if away.max() > APART:
            raise UserError(
                f"The brains of {self.healthy.name} lie elsewhere than those of {self.dataset.name}, by more than half "
                f"their size ({case.identifier}); convert the healthy scans with -reference {self.dataset.name[7:10]}."
            )
