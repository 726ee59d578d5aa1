"""Patches to train the autoencoder on. In: patients and healthy scans. Out: a batch per step."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnunetv2_tf.geometry.boxes import centre_of
from nnunetv2_tf.training.patches import batch_of, compact, patch_of
from nnunetv2_tf.training.pool import Pool
from nnunetv2_tf.working_space.stored import Case

BATCH = 1  # stream of random numbers
VOLUMES = ("image", "tumour", "body", "organ")


@dataclass(frozen=True)
class Scans:
    """Reads what patches are cut from; patients come first."""

    cases: Sequence[Case]

    def __call__(self, number: int) -> dict[str, np.ndarray]:
        """Return VOLUMES of a scan, and the middle of its tumour, if it has one."""
        case = self.cases[number].open()
        (image,), tumour = compact(case.image()), case.tumour()
        body, organ = case.body(), case.organ()
        middle = {"centre": centre_of(tumour)} if tumour.any() else {}
        return {"image": image, "tumour": tumour, "body": body, "organ": organ if organ.any() else body, **middle}


@dataclass(frozen=True)
class ScanPatches:
    """Makes batches; it is sent to worker processes."""

    scans: Pool
    patients: int  # the first so many of the scans
    real: float  # share of patches that are of patients
    centred: float  # of these, the share that lies around tumours
    size: Sequence[int]
    batch: int
    seed: int

    def __call__(self, step: int) -> dict[str, np.ndarray]:
        """Return the batch of a step: stacked patches, and `place`, their index in the batch."""
        return self.drawn([self.seed, BATCH, step])

    def drawn(self, stream: Sequence[int]) -> dict[str, np.ndarray]:
        """Return a batch by a stream of random numbers."""
        return batch_of(self._patch, self.batch, stream)

    def around_a_tumour(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return a patch around a patient's tumour."""
        number = int(rng.integers(self.patients))
        pieces = (self.scans[(number + more) % self.patients] for more in range(self.patients))
        return patch_of(next(piece for piece in pieces if "centre" in piece), VOLUMES, self.size, 1.0, rng)

    def _patch(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        number, healthy = self.scans.size or 0, (self.scans.size or 0) - self.patients
        of_patient = rng.random() < self.real or not healthy
        piece = self.scans[int(rng.integers(self.patients) if of_patient else rng.integers(self.patients, number))]
        return patch_of(piece, VOLUMES, self.size, self.centred if "centre" in piece else 0.0, rng)
