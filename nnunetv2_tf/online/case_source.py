"""Where new cases come from while nnU-Net trains. In: a fold's hosts and a method. Out: cases, by their number.

Case i is that of line i of the recipe with the same seed: what nnUNetv2_tf_synthesize would make of it.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.methods.lookup import SelectedMethod
from nnunetv2_tf.online.made_case import MadeCase, made_case
from nnunetv2_tf.synthesis.case_maker import edit, ready_method
from nnunetv2_tf.synthesis.fit_result import FitResult
from nnunetv2_tf.synthesis.host_pool import HostPool
from nnunetv2_tf.synthesis.site_builder import UnusableLineError
from nnunetv2_tf.tumours.recipe_cache import NowhereError

FAR = 1 << 40  # from the number of a case to that of the line which takes its place: no training counts so far
TRIED = 20  # lines for one case


@dataclass(frozen=True)
class CaseMaker:
    """Makes cases; goes to other processes."""

    hosts: HostPool
    method: SelectedMethod
    fit: FitResult | None  # None: a method that learns nothing
    device: str = "cpu"

    def make(self, index: int) -> MadeCase:
        """Make case `index`; where its line cannot be used, that of a line far away."""
        reasons = []
        for attempt in range(TRIED):
            try:
                return self._of_line(index + attempt * FAR)
            except (UnusableLineError, NowhereError) as reason:
                reasons.append(str(reason))
        raise UserError(
            f"No case of {self.method.name} came of {TRIED} lines of the recipe: {'; '.join(dict.fromkeys(reasons))}. "
            "Look at a set of nnUNetv2_tf_synthesize."
        )

    def _of_line(self, index: int) -> MadeCase:
        line = self.hosts.line(index)
        host = self.hosts.cases[line.host].open()
        method = ready_method(self.method, self.fit, torch.device(self.device))
        built, edited = edit(host, self.hosts.site_builder(line), method)
        if not bool(torch.isfinite(edited.image).all()):
            raise UnusableLineError("the method made values that are no numbers")
        return made_case(index, line.donors, host, built, edited)


class CaseSource(ABC):
    """Gives a training its new cases."""

    @abstractmethod
    def case(self, epoch: int, index: int) -> MadeCase:
        """Return the new case number `index` of all that are drawn; numpy's own generator is seeded for it."""


@dataclass(frozen=True)
class NewEachTime(CaseSource):
    """Makes every case when it is drawn, and only for that: where batches are made."""

    maker: CaseMaker

    def case(self, epoch: int, index: int) -> MadeCase:  # noqa: ARG002
        """Make the case."""
        return self.maker.make(index)
