"""What a method is. In: sites, which are boxes of cases in working space. Out: the same boxes, edited.

Working space is nnU-Net's own: arrays as its preprocessor stores them, normalised per case, at the plans' spacing. A
method touches no file, header or native unit. A method module exports `METHOD`, a class, and `PRESETS`, its settings:
{"paper": ..., "default": ...}, frozen dataclasses.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from nnunetv2_tf.baseline.checkpoint import Baseline
from nnunetv2_tf.preparation.preprocess import Plan
from nnunetv2_tf.preparation.stored import Case
from nnunetv2_tf.training.ddp import Team


@dataclass(frozen=True)
class Donor:
    """The case a tumour comes from, on the site's grid and under the tumour's transform.

    Of a transformed tumour the box around it is known, not all of the case.
    """

    image: Tensor  # (C, Z, Y, X) float32, normalised as the donor's own
    label: Tensor  # (Z, Y, X) int16, all of it
    tumour: Tensor  # (Z, Y, X) int16, the label where it is tumour, also where the host has no organ
    organ: Tensor  # (Z, Y, X) bool; outside it the image means nothing


@dataclass(frozen=True)
class Site:
    """A box of one case: a whole case, a region, or a training patch."""

    image: Tensor  # (C, Z, Y, X) float32, the host
    label: Tensor  # (Z, Y, X) int16, the host's own, in the target's numbering
    organ: Tensor  # (Z, Y, X) bool: where tumour may be
    tumour: Tensor  # (Z, Y, X) int16: the placed tumour map, inside the organ
    donors: tuple[Donor, ...]  # one per tumour, for methods that paste
    spacing: tuple[float, float, float]
    body: Tensor  # (Z, Y, X) bool: where the host is normalised
    n_norm: int  # voxels of the whole case's body


@dataclass(frozen=True)
class Edited:
    """What a method made of a site."""

    image: Tensor  # (C, Z, Y, X) float32
    label: Tensor  # (Z, Y, X) int16
    reach_mm: float | None  # of this case: no change further than this from the placed tumour; None: all the organ
    region: Tensor | None = None  # (Z, Y, X) bool: take the edit here, whole, and nowhere else (no feather)
    controls: Mapping[str, Any] = field(default_factory=dict)  # what was drawn, for the sidecar


@dataclass(frozen=True)
class FitData:
    """What a method may learn from: training cases of the fold only."""

    real: Sequence[Case]
    healthy: Sequence[Case]
    sample_site: Callable[[np.random.Generator], Site]
    baseline: Baseline  # the fold's nnU-Net
    class_names: Mapping[str, int]  # the tumour's classes
    rng: np.random.Generator
    team: Team = field(default_factory=Team)  # whose processes fit together


class Method(ABC):
    """One way to make a synthetic case."""

    hosts: Literal["healthy", "real"] = "healthy"
    needs: tuple[str, ...] = ()  # methods fitted before this one
    fits_in_teams = False  # whether several processes can share the work of `fit`
    reach_mm: float | None = 6.0  # what feathered methods pass on in Edited

    def __init__(self, config: Any, device: torch.device, fitted: Mapping[str, "Method"]) -> None:
        self.config = config
        self.device = device
        self.fitted = fitted

    @property
    def pastes(self) -> bool:
        """Whether sites carry their donors."""
        return False

    @classmethod  # noqa: B027
    def check_fit(cls, config: Any, plan: Plan, processes: int) -> None:
        """Raises when so many processes cannot fit it with these settings and plans."""

    def fit(self, data: FitData, folder: Path) -> None:  # noqa: B027
        """Learns, if there is anything to learn; resumable."""

    def load(self, folder: Path) -> None:  # noqa: B027
        """Takes up what `fit` left in the folder."""

    @abstractmethod
    def edit(self, sites: Sequence[Site], rngs: Sequence[np.random.Generator]) -> list[Edited]:
        """Puts the placed tumours into the sites. A site comes out the same alone and in any batch."""
