"""Patients as hosts, for measuring only: tumours are put where a patient's brain is free of its own tumour.

What differs between such cases and real ones is the tumour, and neither scanner nor population. The hosts may be
patients that validate in the fold, so nothing that trains may read the cases: they lie in a folder of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np

from nnunetv2_tf.dataset.folders import FIGURES
from nnunetv2_tf.io.digests import digest
from nnunetv2_tf.io.kept import kept
from nnunetv2_tf.io.parallel import in_parallel
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.synthesis.host_pool import HostPool
from nnunetv2_tf.synthesis.placing_pools import PlacingHostPool
from nnunetv2_tf.synthesis.site_builder import PlacedSiteBuilder, SiteBuilder
from nnunetv2_tf.tumours.donor_patch import patch_in_place
from nnunetv2_tf.tumours.place import read_host
from nnunetv2_tf.tumours.recipe import DONOR, STRENGTH, DonorTumour, RecipeLine, in_turn, seed_of
from nnunetv2_tf.tumours.sampler import PlacementError
from nnunetv2_tf.working_space.free_side import AWAY, FreeSide
from nnunetv2_tf.working_space.stored import Case

LEAST_INSIDE = 0.9  # of a tumour that keeps its place must lie in the free part
STREAM = 7  # of random numbers
TRIES = 3  # per tumour


@dataclass(frozen=True)
class FreeSidePart(SetPart):
    """Cases of a set's method on free sides, where no trainer and no command looks for sets."""

    @property
    def folder(self) -> Path:
        """The folder nnUNet_raw/<dataset>/tf/.figures/<set>/fold_<k>."""
        return self.dataset.sets / FIGURES / self.set_name / f"fold_{self.fold}"

    @property
    def arrays(self) -> Path:
        """The folder nnUNet_preprocessed/<dataset>/tf/.figures/<set>/fold_<k>."""
        return self.dataset.preprocessed / "tf" / FIGURES / self.set_name / f"fold_{self.fold}"


@dataclass(frozen=True)
class _Recipe:
    """Lines that were drawn, and the digest of what from; fewer lines than asked for where nothing more fits."""

    lines: tuple[RecipeLine, ...]
    source: str


@dataclass(frozen=True)
class FreeSidePool(HostPool):
    """The patients of a dataset as hosts, and how tumours come to lie in them."""

    like: HostPool  # of the set that is measured

    @cached_property
    def cases(self) -> Mapping[str, Case]:
        """All patients with a tumour, training or not."""
        return {name: FreeSide.of(case) for name, case in self.cohort.labelled.items()}

    def lines(self, number: int) -> list[RecipeLine]:
        """Return the first lines; fewer where the patients have no more room."""
        source = digest([self._source, number])
        path = self.cohort.dataset.preprocessed / "tf" / FIGURES / f"recipe_{source[:16]}.json"
        return list(kept(path, _Recipe, source, lambda: _Recipe(tuple(self._drawn(number)), source)).lines)

    def site_builder(self, line: RecipeLine) -> SiteBuilder:
        """Return the builder of the set's own method; hosts keep their looks, which are a patient's already."""
        builder = self.like.site_builder(line)
        return replace(builder, appearance_source=None) if isinstance(builder, PlacedSiteBuilder) else builder

    @property
    def _source(self) -> str:
        """What the lines are drawn from."""
        cohort, like = self.cohort, self.like
        stamps = {name: case.stamp() for name, case in self.cases.items()}
        settings = like.settings if isinstance(like, PlacingHostPool) else {}
        return digest([stamps, sorted(cohort.training), self.seed, settings.get("tumours"), AWAY, LEAST_INSIDE])

    def _drawn(self, number: int) -> list[RecipeLine]:
        draw = self._placed if isinstance(self.like, PlacingHostPool) else self._in_place
        drawn = in_parallel(draw, range(TRIES * number), 1, "Looking for free sides", "try")
        found = islice((line for line in drawn if line is not None), number)
        return [replace(line, index=index) for index, line in enumerate(found)]

    def _placed(self, index: int) -> RecipeLine | None:
        """Draw a tumour and a place for it, as for the set's healthy hosts; None where the host has no room."""
        assert isinstance(self.like, PlacingHostPool)
        host = self.cases[in_turn(self.cases, [self.seed, STREAM], index)]
        sampler = self.like.sampler_for(host)
        anatomy = read_host(host.open(), sampler.config.around_fluid)
        try:
            placed = sampler.sample(anatomy, np.random.default_rng([self.seed, STREAM, DONOR, index]))
        except PlacementError:
            return None
        strength = sampler.strength(np.random.default_rng([self.seed, STREAM, STRENGTH, index]))
        return RecipeLine(index, None, host.identifier, placed.tumours, seed_of(self.seed, index), strength)

    def _in_place(self, index: int) -> RecipeLine | None:
        """Draw one of the donors whose tumour, where it is, lies in the free part of the host; None without any."""
        host = self.cases[in_turn(self.cases, [self.seed, STREAM], index)].open()
        others = [case for case in self.cohort.training.values() if case.group != host.group and case.has_tumour()]
        rng = np.random.default_rng([self.seed, STREAM, DONOR, index])
        organ = host.organ()
        for place in rng.permutation(len(others)):
            tumour = patch_in_place(others[place].open(), host, with_image=False).tumour > 0
            if tumour.any() and organ[tumour].mean() >= LEAST_INSIDE:
                donor = DonorTumour(others[place].identifier)
                return RecipeLine(index, None, host.identifier, (donor,), seed_of(self.seed, index))
        return None
