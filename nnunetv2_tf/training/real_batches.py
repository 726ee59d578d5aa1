"""Batches of patches of real cases with tumours, for training. In: cases. Out: a batch per step."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnunetv2_tf.training.loading import Batch, as_tensors
from nnunetv2_tf.training.patches import REAL_VOLUMES, batch_of, patch_of, real_piece
from nnunetv2_tf.training.pool import Pool
from nnunetv2_tf.working_space.stored import Case

BATCH = 1  # stream of random numbers
CLIPPED = 1.0  # mm, distances to tumours, which nothing asks for that uses these batches


@dataclass(frozen=True)
class RealPieces:
    """Reads what patches are cut from."""

    cases: Sequence[Case]
    size: Sequence[int]  # of patches
    whole: bool  # patches lie anywhere, not around tumours only

    def __call__(self, number: int) -> dict[str, np.ndarray]:
        """Return what patches of a case are cut from."""
        return real_piece(self.cases[number], self.size, CLIPPED, self.whole)


@dataclass(frozen=True)
class RealBatches:
    """Makes batches; it is sent to worker processes."""

    cases: Pool
    size: Sequence[int]
    centred: float  # share of patches that lie around tumours
    batch: int
    seed: int
    every_voxel: bool = False  # these lie around any voxel of a tumour, else around its middle

    def __call__(self, step: int) -> dict[str, np.ndarray]:
        """Return the batch of a step: stacked patches, and `place`, their index in the batch."""
        return self.drawn([self.seed, BATCH, step])

    def drawn(self, stream: Sequence[int]) -> dict[str, np.ndarray]:
        """Return a batch by a stream of random numbers."""
        return batch_of(self._patch, self.batch, stream)

    def examples(self, number: int, stream: Sequence[int]) -> list[Batch]:
        """Return so many batches of one patch, to be shown again and again."""
        drawn = (self.drawn([*stream, index]) for index in range(number))
        return [as_tensors({name: array[:1] for name, array in batch.items()}) for batch in drawn]

    def _patch(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        piece = self.cases.draw(0, rng, 0)
        if self.every_voxel:
            voxels = np.flatnonzero(piece["tumour"])
            drawn = np.unravel_index(voxels[int(rng.integers(len(voxels)))], piece["tumour"].shape)
            piece = {**piece, "centre": np.array(drawn)}
        volumes = patch_of(piece, REAL_VOLUMES, self.size, self.centred, rng)
        return {f"real_{name}": volume for name, volume in volumes.items()}
