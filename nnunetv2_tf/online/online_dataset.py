"""Real cases and new synthetic ones for nnU-Net's dataloader. In: real cases, a source. Out: a dataset, and batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetBaseDataset

from nnunetv2_tf.online.case_source import CaseSource
from nnunetv2_tf.sets.sampling import repetitions
from nnunetv2_tf.training.ordered_batches import OrderedLoader
from nnunetv2_tf.working_space.preprocess import Plan

NEW = "/new"  # is drawn where a new case is to be made; no real case can be called so
MADE = "made"  # key of a batch: its new cases


@dataclass(frozen=True)
class Origin:
    """Where a new case of a batch comes from."""

    place: int  # in the batch
    line: int  # of the recipe
    host: str
    donors: tuple[str, ...]


class OnlineDataset:
    """Real cases and a placeholder, which nnU-Net's dataloader draws as often as asked for."""

    def __init__(self, real: nnUNetBaseDataset, source: CaseSource, plan: Plan, percent: int) -> None:
        """Set up.

        Args:
            real: nnU-Net's dataset of the training cases
            source: makes the new ones
            plan: of the training
            percent: of the drawn cases are new
        """
        self._real, self._source, self._plan = real, source, plan
        times_real, times_new = repetitions(len(real.identifiers), 1, percent)
        self.identifiers = np.array([*sorted(real.identifiers) * times_real, *[NEW] * times_new], dtype=object)
        self._begun, self._loaded = False, 0
        self.made: list[Origin] = []

    def begin(self, epoch: int, first: int) -> None:
        """Begin a batch of an epoch, whose new cases are numbered from `first` on."""
        self._begun, self.made = True, []
        self._epoch, self._first, self._loaded = epoch, first, 0

    def load_case(self, identifier: str) -> Any:
        """Return the arrays and properties of a real case, or of the next new one; before the first batch a real one.

        nnU-Net draws a batch, which nobody sees, to see whether its dataloaders work.
        """
        if not self._begun and identifier == NEW:
            return self._real.load_case(self._real.identifiers[0])
        place, self._loaded = self._loaded, self._loaded + 1
        if identifier != NEW:
            return self._real.load_case(identifier)
        case = self._source.case(self._epoch, self._first + place)
        self.made.append(Origin(place, case.line, case.host, case.donors))
        return case.for_dataloader(self._plan)

    def __getitem__(self, identifier: str) -> Any:
        return self.load_case(identifier)


class OnlineLoader(OrderedLoader):
    """Tells the dataset which batch it is at, and the batch where its new cases come from."""

    def __init__(
        self, loader: Any, dataset: OnlineDataset, seed: Sequence[int], first: int, clock: "Clock"
    ) -> None:  # fmt: skip
        super().__init__(loader, seed, first)
        self.dataset, self.clock = dataset, clock

    def batch(self, number: int) -> dict[str, Any]:
        """Make a batch."""
        self.dataset.begin(self.clock.epoch(number), self.clock.first_case(number))
        batch = super().batch(number)
        return {**batch, MADE: self.dataset.made}


@dataclass(frozen=True)
class Clock:
    """When batches are drawn, and how their new cases are numbered so that no two processes make the same."""

    iterations: int  # of an epoch
    epochs: int
    batch_size: int  # of all processes together
    rank: int = 0
    processes: int = 1

    def epoch(self, number: int) -> int:
        """Return the epoch of a batch; batches that are made ahead of the end belong to the last one."""
        return min(number // self.iterations, self.epochs - 1)

    def first_case(self, number: int) -> int:
        """Return the number of the first case of a batch."""
        return (number * self.processes + self.rank) * self.batch_size
