"""Hosts into which tumours are placed anew: healthy scans, or patients beside their own tumour."""

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nnunetv2_tf.dataset.cases import case_digest
from nnunetv2_tf.dataset.folders import RECIPES, Dataset
from nnunetv2_tf.io.digests import digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.methods.base import NoRoomError
from nnunetv2_tf.methods.lookup import SelectedMethod
from nnunetv2_tf.synthesis.cohort import Cohort
from nnunetv2_tf.synthesis.growth import GROWING, grow
from nnunetv2_tf.synthesis.harmonise import HARMONISING
from nnunetv2_tf.synthesis.host_pool import HostPool, RealHostPool
from nnunetv2_tf.synthesis.site_builder import (
    PlacedSiteBuilder,
    SiteBuilder,
    placed_site,
    with_appearance,
)
from nnunetv2_tf.tumours.bank import Bank
from nnunetv2_tf.tumours.constraints import TumourConstraints
from nnunetv2_tf.tumours.place import read_host
from nnunetv2_tf.tumours.recipe import CohortNames, RecipeLine, check_recipe
from nnunetv2_tf.tumours.recipe_cache import RecipeCache
from nnunetv2_tf.tumours.sampler import PlacementError, TumourSampler
from nnunetv2_tf.tumours.sampling_config import SamplingConfig
from nnunetv2_tf.tumours.shapes import ShapeBank, ShapeConfig, shape_bank
from nnunetv2_tf.working_space.free_side import FreeSide
from nnunetv2_tf.working_space.site import Site
from nnunetv2_tf.working_space.stored import Case
from nnunetv2_tf.working_space.tissue import SCALING

TRIED = 20  # hosts for one site


def hosts_for(
    method: SelectedMethod, cohort: Cohort, seed: int, asked: Mapping[str, Any], num_processes: int
) -> HostPool:
    """Return the hosts of a method: healthy scans where the cohort has some, else its patients."""
    settings = (cohort, seed, method.sampling, asked, num_processes)
    if cohort.healthy is None:
        return PatientHostPool(*settings) if method.method_class.moves else RealHostPool(cohort, seed)
    return HealthyHostPool(*settings) if method.shapes is None else ShapeHostPool(*settings, method.shapes)


@dataclass(frozen=True)
class PlacingHostPool(HostPool):
    """Tumours of training cases are placed in hosts, sampled by the cohort's likeness or as a user asks."""

    sampling: SamplingConfig
    asked: Mapping[str, Any] = field(default_factory=dict)  # of TumourConstraints, fractions by the classes' names
    num_processes: int = 1

    def lines(self, number: int) -> list[RecipeLine]:
        """Draw lines that nobody has drawn yet; the others are kept."""
        return self._recipe.first(number, self.num_processes)

    def line(self, index: int) -> RecipeLine:
        """Draw a line, whether or not it is kept."""
        return self._recipe.draw(index)

    def site_builder(self, line: RecipeLine) -> SiteBuilder:
        """Return the builder with the tumours of the line's donors."""
        cohort = self.cohort
        return PlacedSiteBuilder(
            line=line,
            bank=self.bank.restricted_to(line.donors),
            donors={name: cohort.donors[name] for name in line.donors if name in cohort.donors},
            appearance_source=self._appearance_source(line.donors[0]),
            sampling=self.sampling,
            training=tuple(cohort.training),
            asked=self.asked,
            class_names={value: name for name, value in cohort.class_values.items()},
        )

    def sampler_for(self, host: Case, without: Collection[str] = ()) -> TumourSampler:
        """Return what a host's tumours are drawn by: neither its own nor those of some other cases."""
        known = self.cohort.donors
        donors = [name for name, case in known.items() if case.group != host.group and name not in without]
        if len(donors) == len(known):
            return self.sampler
        return replace(self.sampler, bank=self.sampler.bank.restricted_to(donors))

    @property
    def settings(self) -> dict[str, Any]:
        """What of this decides the recipe, or what cases of it look like, as fields of SetConfig."""
        recipe = {"controls": dict(self.asked), "tumours": self._recipe.digest}
        return {"growth": self._growth, "scaled": SCALING, **recipe}

    @property
    def bank(self) -> Bank:
        """The tumours that there are."""
        return self.cohort.bank

    @cached_property
    def sampler(self) -> TumourSampler:
        """What tumours and places are drawn by."""
        cohort, constraints = self.cohort, self._constraints()
        names = {value: name for name, value in cohort.class_values.items()}
        constraints.check_possible(self.bank, self.sampling, names)
        observed: tuple[float, ...] = ()
        if self.sampling.mass_effect and constraints.mass_effect is None and cohort.knows_organ:
            observed = cohort.observed_strengths(self.num_processes)
        reach = constraints.reach(self.bank, self.sampling)
        return TumourSampler(self.bank, self.sampling, constraints, observed, reach)

    @property
    @abstractmethod
    def _recipe(self) -> RecipeCache:
        """Where lines come from."""

    @property
    def _recipe_folder(self) -> Path:
        """The folder where lines are kept."""
        return self.cohort.dataset.preprocessed / "tf" / RECIPES

    def _appearance_source(self, donor: str) -> Case | None:  # noqa: ARG002
        """Return the case that a host is to look like, if any, its first donor being given."""
        return None

    @property
    def _growth(self) -> dict[str, Any] | None:
        """By which rules tumours grow, and which of them apply; None where they are put in as they are."""
        rules = {name: getattr(self.sampling, name) for name in ("rounded", "mass_effect", "front")}
        return {"rules": GROWING, **rules} if any(rules.values()) else None

    def _constraints(self) -> TumourConstraints:
        values, asked = self.cohort.class_values, dict(self.asked)
        fractions = asked.pop("class_fraction", {})
        unknown = sorted(set(fractions) - set(values))
        if unknown:
            raise UserError(f"-class_fraction {unknown[0]}: the tumour's classes are {', '.join(values)}.")
        return TumourConstraints(**asked, fractions={values[name]: span for name, span in fractions.items()})


@dataclass(frozen=True)
class PatientHostPool(PlacingHostPool):
    """Tumours of training cases go to another place of another training case, or of their own."""

    @cached_property
    def cases(self) -> Mapping[str, Case]:
        """The training cases; their organ is what lies beside their own tumour."""
        return {name: FreeSide.of(case, away=0.0) for name, case in self.cohort.training.items()}

    def check_lines(self, lines: Sequence[RecipeLine], path: Path) -> None:
        """Raise when lines of a given recipe name others than these."""
        check_recipe(lines, self.cohort.names, path, in_place=False)

    @cached_property
    def _recipe(self) -> RecipeCache:
        cohort = self.cohort
        if not cohort.knows_organ:
            raise UserError(
                f"Tumours cannot be moved in {cohort.dataset.name}: which organ they may lie in is not known, and they "
                "would come to lie in the air; name its labels in dataset.json under tf, organ."
            )
        stamps = {name: digest([cohort.plan.stamp, case_digest(case.files)]) for name, case in self.cases.items()}
        patients = {name: case.group for name, case in cohort.donors.items()}
        return RecipeCache(self.sampler, self.cases, stamps, self.seed, self._recipe_folder, patients)


@dataclass(frozen=True)
class HealthyHostPool(PlacingHostPool):
    """Tumours of training cases go into healthy scans."""

    @property
    def cases(self) -> Mapping[str, Case]:
        """The healthy scans."""
        return self.cohort.healthy_cases

    def sample_site(self, with_donors: bool, rng: np.random.Generator, without: Collection[str] = ()) -> Site:
        """Draw a site in a healthy scan, for methods that learn; independent of any recipe.

        Args:
            with_donors: for methods that paste
            rng: draws it
            without: training cases whose tumours are not used
        """
        return self._sampled(self.cases, with_donors, rng, without)

    def sample_free_side(self, with_donors: bool, rng: np.random.Generator, without: Collection[str] = ()) -> Site:
        """Draw a site on a training patient's side that is free of its own tumour, with another patient's tumour.

        Args:
            with_donors: for methods that paste
            rng: draws it
            without: training cases that are neither donor nor host
        """
        hosts = {name: case for name, case in self._free_sides.items() if name not in without}
        return self._sampled(hosts, with_donors, rng, without)

    @property
    def settings(self) -> dict[str, Any]:
        """What of this decides the recipe, or what cases of it look like, as fields of SetConfig."""
        assert self.cohort.healthy is not None
        harmonised = HARMONISING if self._harmonises else None
        return {**super().settings, "healthy": self.cohort.healthy.name, "harmonised": harmonised}

    def for_fitting(self, seed: int) -> "HealthyHostPool":
        """Copy for fitting: no constraints of a user, a seed of its own; shares what was read."""
        return replace(self, seed=seed, asked={})

    def in_unlabelled(self, unlabelled: Dataset) -> "HealthyHostPool":
        """Copy with unlabelled scans as hosts."""
        cohort = self.cohort
        scans = Cohort(cohort.dataset, cohort.plan, cohort.fold, unlabelled, cohort.cache.most_gb)
        return replace(self, cohort=scans)

    def _sampled(
        self, cases: Mapping[str, Case], with_donors: bool, rng: np.random.Generator, without: Collection[str]
    ) -> Site:
        names, reasons, donors = sorted(cases), [], self.cohort.donors
        for _ in range(TRIED if names else 0):
            drawn = cases[names[rng.integers(len(names))]]
            case, sampler = drawn.open(), self.sampler_for(drawn, without)
            host = read_host(case, self.sampling.around_fluid)
            try:
                placed = sampler.sample(host, rng)
            except PlacementError as reason:
                reasons.append(f"{case.identifier}: {reason}")
            else:
                is_patient = isinstance(drawn, FreeSide)  # whose looks are real already
                source = None if is_patient else self._appearance_source(placed.tumours[0].donor)
                site = placed_site(case, host, placed, donors if with_donors else None)
                site = site if source is None else with_appearance(site, case, source, keep=False)[0]
                return grow(site, host, self.bank, self.sampling, sampler.strength(rng)).site
        where = "healthy scans" if cases is self.cases else "sides that are free of tumour"
        raise NoRoomError(f"No tumour could be placed in {TRIED} {where} ({'; '.join(reasons)}); look at them.")

    @cached_property
    def _free_sides(self) -> Mapping[str, FreeSide]:
        """The training patients as hosts."""
        return {name: FreeSide.of(case) for name, case in self.cohort.training.items() if case.has_tumour()}

    def _appearance_source(self, donor: str) -> Case | None:
        """Return the case that a host is to look like: the first donor, so that both are of one scanner."""
        return self.cohort.donors[donor] if self._harmonises else None

    @property
    def _harmonises(self) -> bool:
        """Whether hosts are harmonised. Where no organ is known, a liver would come to look like air and all."""
        return self.sampling.harmonised and self.cohort.knows_organ

    @cached_property
    def _recipe(self) -> RecipeCache:
        return RecipeCache(self.sampler, self.cases, self.cohort.healthy_stamps, self.seed, self._recipe_folder)


@dataclass(frozen=True)
class ShapeHostPool(HealthyHostPool):
    """Handcrafted shapes go into healthy scans."""

    shapes: ShapeConfig = field(default_factory=ShapeConfig)

    @cached_property
    def bank(self) -> ShapeBank:
        """The shapes."""
        return shape_bank(self.shapes, self.cohort.tumours)

    def check_lines(self, lines: Sequence[RecipeLine], path: Path) -> None:
        """Raise when lines of a given recipe name others than these."""
        shapes = [lesion.donor for lesion in self.bank.lesions]
        for line in lines:
            if not set(line.donors) <= set(shapes):
                raise UserError(
                    f"{path}, line {line.index + 1} names {line.donors[0]} as donor, and this method's are shapes, "
                    f"{shapes[0]} to {shapes[-1]}; name these."
                )
        groups = {name: ("shape", name) for name in shapes}
        check_recipe(lines, CohortNames(groups, shapes, self.cohort.names.healthy), path)

    def site_builder(self, line: RecipeLine) -> SiteBuilder:
        """Return the builder with the line's shapes, which look like the training cases that they are like."""
        builder = super().site_builder(line)
        assert isinstance(builder, PlacedSiteBuilder)
        training = self.cohort.training
        likes = {name: self.bank.like[name] for name in line.donors}
        return replace(builder, looks={name: None if like is None else training[like] for name, like in likes.items()})

    def sampler_for(self, host: Case, without: Collection[str] = ()) -> TumourSampler:
        """Return what a host's shapes are drawn by: those like neither it nor some other cases."""
        unused = {name for name, case in self.cohort.training.items() if case.group == host.group or name in without}
        used = [name for name, like in self.bank.like.items() if like not in unused]
        return replace(self.sampler, bank=self.bank.restricted_to(used))

    def _appearance_source(self, donor: str) -> Case | None:
        like = self.bank.like[donor]
        return None if like is None else super()._appearance_source(like)
