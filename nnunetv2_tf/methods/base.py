"""What a method is. In: sites, which are boxes of cases in working space. Out: the same boxes, edited.

Working space is nnU-Net's own: arrays as its preprocessor stores them, normalised per case, at the plans' spacing. A
method touches no file, header or native unit. A method module exports `METHOD`, a class, and `PRESETS`, its settings:
{"paper": ..., "default": ...}, frozen dataclasses. If a preset samples tumours in another way than by default:
`SAMPLING`, {preset: SamplingConfig}; if it is checked in another way: `CHECKED`, {preset: CheckConfig}; if shapes are
to stand in for donors' tumours: `SHAPES`, {preset: ShapeConfig}.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from nnunetv2_tf.baseline.checkpoint import Baseline
from nnunetv2_tf.dataset.label_roles import LabelRoles
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.training.distributed import Team
from nnunetv2_tf.training.pool import PoolFolder
from nnunetv2_tf.working_space.preprocess import Plan
from nnunetv2_tf.working_space.site import Donor, Site
from nnunetv2_tf.working_space.stored import Case

__all__ = [
    "CHECKS",
    "CheckConfig",
    "Donor",
    "Edited",
    "FitData",
    "Growth",
    "HostKind",
    "Learner",
    "Method",
    "PastingMethod",
    "SampleSite",
    "Site",
    "SitewiseMethod",
]
HostKind = Literal["healthy", "real"]
Growth = Literal["all", "mass", "none"]  # mass: tissue is pushed aside, and the map stays the donor's
CHECKS = ("region", "tumour", "labels", "background", "copy", "brightness", "edge")  # of every finished case


@dataclass(frozen=True)
class CheckConfig:
    """What checks of finished cases mean for a method."""

    rejects: bool = True  # a case that fails one does not join the set; else it is reported only
    exempt: tuple[str, ...] = ()  # checks that its cases fail by design, such as `copy` where it pastes

    def __post_init__(self) -> None:
        unknown = sorted(set(self.exempt) - set(CHECKS))
        if unknown:
            raise ValueError(f"there is no check {unknown[0]}; there are {', '.join(CHECKS)}")


@dataclass(frozen=True)
class Edited:
    """What a method made of a site."""

    image: Tensor  # (C, Z, Y, X) float32
    label: Tensor  # (Z, Y, X) int16
    reach_mm: float | None  # of this case: no change further than this from the placed tumour; None: all the organ
    region: Tensor | None = None  # (Z, Y, X) bool: take the edit here, whole, and nowhere else (no feather)
    controls: Mapping[str, Any] = field(default_factory=dict)  # what was drawn, for the sidecar


class NoRoomError(UserError):
    """No tumour fits into any of the hosts."""


class SampleSite(Protocol):
    """Draws a site to learn from, independently of any recipe."""

    def __call__(self, rng: np.random.Generator, without: Collection[str] = (), /) -> Site:
        """Draw a site with training cases' tumours, but not with those of some cases, nor in them; or NoRoomError."""
        ...


@dataclass(frozen=True)
class FitData:
    """What a learner may learn from: training cases of the fold only."""

    real: Sequence[Case]
    healthy: Sequence[Case]
    sample_site: SampleSite  # in healthy scans
    baseline: Baseline  # the fold's nnU-Net
    plan: Plan
    roles: LabelRoles  # of the real cases' labels
    channels: tuple[str, ...]
    class_names: Mapping[str, int]  # the tumour's classes
    rng: np.random.Generator
    team: Team = field(default_factory=Team)  # whose processes fit together
    sample_free_side: SampleSite | None = None  # in patients; None: nowhere
    sample_unlabelled: SampleSite | None = None  # in unlabelled scans; None: there are none
    pool: PoolFolder | None = None  # where training data may be kept until the fit has ended; None: nowhere


class Learner:
    """What is fitted to a fold's training cases: a method, or something that methods need."""

    needs: tuple[str, ...] = ()  # what is fitted before this
    fits_in_teams = False  # whether several processes can share the work of `fit`
    learns_unlabelled = False  # whether it learns from unlabelled scans, too
    hosts: tuple[HostKind, ...] = ("healthy",)  # the kinds that it can serve, or learns from; -healthy chooses
    growth: Growth = "all"  # what may happen to a healthy host and its tumour map before
    quick = False  # whether a core makes a case in about a second: online, one for every patch, and no pool
    moves = False  # whether tumours are transformed and get another place in real hosts, too

    def __init__(self, config: Any, device: torch.device, fitted: Mapping[str, Any]) -> None:
        """Set up.

        Args:
            config: a preset
            device: where to work
            fitted: what is in `needs`, by name, ready for use
        """
        self.config = config
        self.device = device
        self.fitted = fitted

    @classmethod
    def check_fit(cls, config: Any, plan: Plan, processes: int) -> None:
        """Raise when so many processes cannot fit it with these settings and plans."""

    def fit(self, data: FitData, folder: Path) -> None:
        """Learn, if there is anything to learn; resumable."""

    def load(self, folder: Path) -> None:
        """Load what `fit` left in the folder."""

    @property
    def pastes(self) -> bool:
        """Whether sites carry their donors."""
        return False


class Method(Learner, ABC):
    """One way to make a synthetic case."""

    reach_mm: float | None = 6.0  # what feathered methods pass on in Edited

    @abstractmethod
    def edit(self, sites: Sequence[Site], rngs: Sequence[np.random.Generator]) -> list[Edited]:
        """Put the placed tumours into the sites: image and label; leave the sites themselves as they are.

        A site comes out the same alone and in any batch. Nothing outside `site.organ` may change. Where no region is
        given, an edit counts as far as `reach_mm` from the placed tumour map, `site.tumour`: a method with shapes of
        its own returns them as `region`, or with `reach_mm=None`.

        Args:
            sites: boxes of cases, in working space
            rngs: for each site, where all randomness comes from
        """


class SitewiseMethod(Method):
    """A method that edits sites one by one."""

    def edit(self, sites: Sequence[Site], rngs: Sequence[np.random.Generator]) -> list[Edited]:
        """Edit each site by `edit_site`."""
        return [self.edit_site(site, rng) for site, rng in zip(sites, rngs, strict=True)]

    @abstractmethod
    def edit_site(self, site: Site, rng: np.random.Generator) -> Edited:
        """Edit one site, as `edit` is to."""


class PastingMethod(SitewiseMethod):
    """A method that edits sites one by one, each with its donors."""

    @property
    def pastes(self) -> bool:
        """Whether sites carry their donors."""
        return True
