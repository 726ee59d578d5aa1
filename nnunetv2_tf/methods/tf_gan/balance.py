"""The balance of generator and discriminator. In: scores that the discriminator gave. Out: which of them learn now.

The loss does not tell: of a dozen patients a discriminator soon knows every tumour by heart, which teaches a generator
nothing but to leave those alone. What it finds in patients that it has never been shown is what it has understood.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from nnunetv2_tf.training.auc import auc

LATELY = 64  # patches of either kind, over which an AUC is taken
CHECKS = 5  # last looks at patients held out, over which it is averaged
KINDS = ("real, patch", "made, patch", "real, whole", "made, whole")
WON, LOST = 0.9, 0.55  # above the one the discriminator waits for the generator, below the other it is not listened to


class Balance:
    """What was found lately, and what follows from it."""

    def __init__(self) -> None:
        self.scores = {name: deque[float](maxlen=LATELY) for name in KINDS}
        self.found = deque[float](maxlen=CHECKS)

    def saw(self, name: str, scores: Tensor) -> None:
        """Note scores (B,) of patches that are learnt from."""
        self.scores[name].extend(scores.tolist())

    def auc(self, head: str) -> float:
        """Return the AUC of real patches over made ones that were seen lately, by a head."""
        return auc(self.scores[f"real, {head}"], self.scores[f"made, {head}"])

    def checked(self, found: float) -> None:
        """Note an AUC of patients held out."""
        self.found.append(found)

    @property
    def held_out(self) -> float:
        """The AUC of patients held out, over the last checks; 0.5 before the first."""
        return sum(self.found) / len(self.found) if self.found else 0.5

    @property
    def discriminator_learns(self) -> bool:
        """Whether it does: as long as it has not won, of patients held out and of the others; without any, always."""
        return not self.found or min(self.held_out, self.auc("patch")) < WON

    @property
    def generator_listens(self) -> bool:
        """Whether it follows the discriminator; without patients held out, always."""
        return not self.found or self.held_out > LOST

    def state(self) -> dict[str, Any]:
        """Return all of it, for a checkpoint."""
        return {**{name: list(scores) for name, scores in self.scores.items()}, "found": list(self.found)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Load what `state()` returned."""
        for name, values in {**self.scores, "found": self.found}.items():
            values.clear()
            values.extend(state[name])
