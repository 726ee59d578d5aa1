"""The part of a patient's brain that is free of its own tumour. In: a case. Out: the same, with that as its organ."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt

from nnunetv2_tf.working_space.stored import Case, OpenCase

AWAY = 10.0  # mm from a patient's own tumour on, the brain counts as free


@dataclass(frozen=True)
class FreeSide(Case):
    """A patient's case whose organ is what is free of its own tumour."""

    away: float = AWAY  # mm from the tumour on; 0: all beside it

    @classmethod
    def of(cls, case: Case, away: float | None = None) -> "FreeSide":
        """Return the same case, its organ being what is free; `away` is as usual where nothing is said."""
        return cls(*(getattr(case, entry.name) for entry in fields(Case)), away=AWAY if away is None else away)

    def open(self) -> "OpenFreeSide":
        """Return the case with access to its arrays."""
        return OpenFreeSide(*(getattr(self, entry.name) for entry in fields(FreeSide)))

    def stamp(self) -> list[Any]:
        """Return what changes with its arrays, or with what is free."""
        return [*super().stamp(), self.away]


class OpenFreeSide(FreeSide, OpenCase):
    """The same, opened."""

    def organ(self) -> np.ndarray:
        """Return (Z, Y, X) bool: the organ, except near the case's own tumour."""
        organ, tumour = super().organ(), self.tumour() > 0
        if not tumour.any():
            return organ
        return organ & (np.asarray(distance_transform_edt(~tumour, sampling=self.grid.spacing)) > self.away)
