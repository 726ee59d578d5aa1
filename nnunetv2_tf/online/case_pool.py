"""Cases that are too slow to make for every batch: a pool on disk, part of which is made anew in every epoch.

In epoch e the pool holds the lines e * ANEW to e * ANEW + SIZE - 1 of the recipe, so it depends on seed and epoch only.
While an epoch trains, a process of its own makes the next one's; training waits at the epoch's end where it must.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from nnunetv2_tf.io.array_files import read_arrays, write_arrays
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.parallel import Meanwhile
from nnunetv2_tf.online.case_source import CaseMaker, CaseSource
from nnunetv2_tf.online.made_case import MadeCase

SIZE, ANEW = 32, 8  # cases in the pool; made anew in an epoch
LOOKS = 0.05  # seconds between two looks for a case that is being made
PATIENCE = 3600.0  # seconds that a case is waited for


@dataclass(frozen=True)
class PooledCases(CaseSource):
    """Reads cases of a pool; goes to other processes."""

    folder: Path
    source: str  # digest of what they are made by
    size: int = SIZE
    anew: int = ANEW

    def lines(self, epoch: int) -> range:
        """Return the numbers of an epoch's cases."""
        return range(epoch * self.anew, epoch * self.anew + self.size)

    def case(self, epoch: int, index: int) -> MadeCase:  # noqa: ARG002
        """Draw one of the epoch's cases; wait for it where it is being made."""
        lines = self.lines(epoch)
        return self.wait_for(lines[np.random.randint(len(lines))])

    def wait_for(self, line: int) -> MadeCase:
        """Return a case as soon as it is there."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            case = self.read(line)
            if case is not None:
                return case
            time.sleep(LOOKS)
        raise UserError(f"{self.path(line)} was waited for for an hour; start the training again with --c.")

    def read(self, line: int) -> MadeCase | None:
        """Return a case; None where it is not there, or was made by something else."""
        arrays = read_arrays(self.path(line), self.source)
        if arrays is None:
            return None
        host, *donors = bytes(arrays["names"]).decode().split("\n")
        return MadeCase(line, host, tuple(donors), arrays["image"], arrays["seg"])

    def write(self, case: MadeCase) -> None:
        """Write a case, whole or not at all."""
        names = np.frombuffer("\n".join((case.host, *case.donors)).encode(), np.uint8)
        arrays = {"image": case.image, "seg": case.seg, "names": names}
        self.folder.mkdir(parents=True, exist_ok=True)
        write_arrays(self.path(case.line), arrays, self.source)

    def path(self, line: int) -> Path:
        """Return the file of a case."""
        return self.folder / f"{line:08d}.cases"

    def forget_before(self, epoch: int) -> None:
        """Remove cases that no batch of this epoch or later needs."""
        first = self.lines(epoch).start
        for path in self.folder.glob("*.cases"):
            if int(path.stem) < first:
                path.unlink(missing_ok=True)


@dataclass
class PoolKeeper:
    """Makes a pool's cases in time: in one process of a training."""

    cases: PooledCases
    maker: CaseMaker
    epochs: int
    _beside: Meanwhile | None = field(default=None, repr=False)
    _begun: int = 0  # cases for the next epoch

    def fill(self, epoch: int) -> int:
        """Make what the pool of an epoch lacks, here and now; return how many cases that was."""
        missing = self._missing(epoch)
        for line in tqdm(missing, desc="Making cases", unit="case", disable=not missing):
            make_pooled(self.maker, self.cases, line)
        return len(missing)

    def begin_next(self, epoch: int) -> None:
        """Begin to make what the epoch after this one lacks, in a process of its own."""
        self.cases.forget_before(epoch)
        missing = self._missing(epoch + 1) if epoch + 1 < self.epochs else []
        if missing and self._beside is None:
            self._beside = Meanwhile(partial(make_pooled, self.maker, self.cases))
        if self._beside is not None:
            self._beside.begin(missing)
        self._begun = len(missing)

    def wait(self) -> str:
        """Wait until what was begun is made; say how long that took."""
        start = time.monotonic()
        if self._beside is not None:
            self._beside.wait()
        waited, begun = time.monotonic() - start, self._begun
        waiting = f"training waited {waited:.1f} s for them" if waited >= LOOKS else "training did not wait"
        self._begun = 0
        return f"Pool: {begun} cases made anew ({waiting}), {self.cases.size - begun} used again."

    def close(self, remove: bool) -> None:
        """End the process that makes cases; remove the pool where nothing needs it any more."""
        if self._beside is not None:
            self._beside.close()
        if remove and self.cases.folder.is_dir():
            self.cases.forget_before(self.epochs + self.cases.size)
            self.cases.folder.rmdir()
            with suppress(OSError):  # other folds may have theirs
                self.cases.folder.parent.rmdir()

    def _missing(self, epoch: int) -> Sequence[int]:
        return [line for line in self.cases.lines(epoch) if self.cases.read(line) is None]


def make_pooled(maker: CaseMaker, cases: PooledCases, line: int) -> None:
    """Make a case of a pool."""
    cases.write(maker.make(line))
