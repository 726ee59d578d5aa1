"""Pieces of training data that take long to make, used again and again. In: how to make one. Out: pieces, kept on disk.

Pieces are numbered, and a number is all that a piece depends on. In an epoch a window of numbers is in use, which moves
on from epoch to epoch: so batches are the same for any number of workers, and after resuming. Whoever needs a piece
first makes it.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from nnunetv2_tf.io.array_cache import ArrayCache, entries
from nnunetv2_tf.io.array_files import Arrays
from nnunetv2_tf.io.parallel import in_parallel

UNLIMITED = float("inf")
NOT_KEPT = "They cannot be kept on disk, so they are made anew for each use, which is slow; make room."
TOO_LARGE = "That is more than is free there; what finds no room is made anew for each use, which is slow; make room."


@dataclass(frozen=True)
class PoolFolder:
    """Where a fit may keep pieces until it has ended."""

    path: Path
    source: str  # digest of all that its pieces depend on, besides their numbers

    def __truediv__(self, name: str) -> "PoolFolder":
        """Return a folder in it."""
        return PoolFolder(self.path / name, self.source)


@dataclass(frozen=True)
class Pool:
    """Training data that is used again and again, in numbered pieces; it is sent to worker processes."""

    make: Callable[[int], Arrays]
    size: int | None  # pieces in use at a time; None: each is used once, and none is kept
    renewed: int = 0  # pieces that new ones take the place of after every epoch
    folder: PoolFolder | None = None  # None: none is kept, and each use makes its piece anew

    def __getitem__(self, number: int) -> Arrays:
        """Return a piece."""
        if self.folder is None or self.size is None:
            return self.make(number)
        cache = ArrayCache(self.folder.path, UNLIMITED)
        return cache.get(f"{number:07d}", self.folder.source, partial(self.make, number))

    def draw(self, epoch: int, rng: np.random.Generator, turn: int) -> Arrays:
        """Return any of the pieces of an epoch; where each is used once, the one whose turn it is."""
        if self.size is None:
            return self[turn]
        return self[epoch * self.renewed + int(rng.integers(self.size))]

    def fill(self, num_processes: int, description: str) -> Iterator[Arrays]:
        """Yield the pieces of the first epoch in order, making those that are missing under a progress bar."""
        option = "nnUNet_n_proc_DA"  # nnU-Net's variable
        return in_parallel(self.__getitem__, range(self.size or 0), num_processes, description, "piece", option)

    def tidy(self, epoch: int) -> None:
        """Delete the pieces that no epoch from this one on uses."""
        for path in self._kept():
            if int(path.stem) < epoch * self.renewed:
                path.unlink(missing_ok=True)

    def described(self, what: str) -> list[str]:
        """Say how large it is, for the log; makes its first piece where there is none."""
        if self.size is None or self.folder is None:
            return [f"{what}: made anew for each use"]
        turnover, path = f", {self.renewed} new ones an epoch" if self.renewed else "", self.folder.path
        if not self._kept():
            self[0]
        sizes = [size for size, _ in self._kept().values()]
        if not sizes:
            return [f"{what}: {self.size}{turnover}", NOT_KEPT]
        total = (self.size + self.renewed) * sum(sizes) / len(sizes)
        lines = [f"{what}: {self.size}{turnover}, about {total / 1e9:.2f} GB in {path} until the fit has ended"]
        return lines if total - sum(sizes) <= shutil.disk_usage(path).free else [*lines, TOO_LARGE]

    def _kept(self) -> dict[Path, tuple[int, float]]:
        return {} if self.folder is None else entries(self.folder.path)
