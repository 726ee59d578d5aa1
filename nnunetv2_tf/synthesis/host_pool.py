"""Who receives tumours in a fold, and how recipe lines come to be. Here: patients; tumours stay in place."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnunetv2_tf.synthesis.cohort import Cohort
from nnunetv2_tf.synthesis.site_builder import RealSiteBuilder, SiteBuilder
from nnunetv2_tf.tumours.recipe import RecipeLine, check_recipe, draw_line
from nnunetv2_tf.working_space.stored import Case


@dataclass(frozen=True)
class HostPool(ABC):
    """The hosts of one fold, and the seed by which lines are drawn."""

    cohort: Cohort
    seed: int

    @property
    def settings(self) -> dict[str, Any]:
        """What of this decides what cases look like, as fields of SetConfig."""
        return {}

    def check_lines(self, lines: Sequence[RecipeLine], path: Path) -> None:
        """Raise when lines of a given recipe name others than these."""
        check_recipe(lines, self.cohort.names, path)

    @property
    @abstractmethod
    def cases(self) -> Mapping[str, Case]:
        """Who may be host, by name."""

    @abstractmethod
    def lines(self, number: int) -> list[RecipeLine]:
        """Return the first lines of the recipe."""

    def line(self, index: int) -> RecipeLine:
        """Return a line by its number."""
        return self.lines(index + 1)[index]

    @abstractmethod
    def site_builder(self, line: RecipeLine) -> SiteBuilder:
        """Return what makes the site of a line, in this process or another."""


@dataclass(frozen=True)
class RealHostPool(HostPool):
    """Tumours go from one training case to another, and stay where and as they are."""

    drawn: list[RecipeLine] = field(default_factory=list, init=False, repr=False, compare=False)  # so far

    @property
    def cases(self) -> Mapping[str, Case]:
        """The training cases."""
        return self.cohort.training

    def lines(self, number: int) -> list[RecipeLine]:
        """Draw lines that were not drawn yet."""
        self.drawn.extend(self.line(index) for index in range(len(self.drawn), number))
        return self.drawn[:number]

    def line(self, index: int) -> RecipeLine:
        """Draw a line."""
        return draw_line(self.cohort.names, self.seed, index)

    def site_builder(self, line: RecipeLine) -> SiteBuilder:
        """Return the builder with the line's donors."""
        return RealSiteBuilder(line, {name: self.cohort.donors[name] for name in line.donors})
