"""Cases that are too slow to make for every batch: a pool on disk, part of which is made anew in every epoch.

In epoch e the pool holds the lines e * ANEW to e * ANEW + SIZE - 1 of the recipe, so it depends on seed and epoch only.
A process of its own makes them; the next epoch's while an epoch trains, which waits for them at its end where it must.
"""

import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from nnunetv2_tf.io.array_files import read_arrays, write_arrays
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import locked, remove_if_empty
from nnunetv2_tf.io.parallel import Meanwhile
from nnunetv2_tf.online.case_source import CaseMaker, CaseSource
from nnunetv2_tf.online.made_case import MadeCase

SIZE, ANEW = 32, 8  # cases in the pool; made anew in an epoch
LOOKS = 0.05  # seconds between two looks for a case that is being made
PATIENCE = 3600.0  # seconds without any new case in which one is waited for


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

    def wait_for_all(self, lines: Iterable[int]) -> None:
        """Wait until cases are there."""
        for line in lines:
            self.wait_for(line)

    def wait_for(self, line: int) -> MadeCase:
        """Return a case as soon as it is there; give up when for long no case has come to be."""
        seen, waited = self._number(), 0.0  # not by the clock, which goes on while all of it is paused
        while waited < PATIENCE:
            case = self.read(line)
            if case is not None:
                return case
            time.sleep(LOOKS)
            waited += LOOKS
            if self._number() != seen:
                seen, waited = self._number(), 0.0
        raise UserError(f"{self.path(line)} was waited for for an hour; start the training again with --c.")

    def _number(self) -> int:
        return len(list(self.folder.glob("*.case")))

    def read(self, line: int) -> MadeCase | None:
        """Return a case; None where it is not there, or was made by something else."""
        arrays = read_arrays(self.path(line), self.source)
        if arrays is None:
            return None
        host, *donors = bytes(arrays["names"]).decode().split("\n")
        return MadeCase(int(arrays["line"]), host, tuple(donors), arrays["image"], arrays["seg"])

    def write(self, line: int, case: MadeCase) -> None:
        """Write the case of a line, which may have been made of another one in its stead, whole or not at all."""
        names = np.frombuffer("\n".join((case.host, *case.donors)).encode(), np.uint8)
        arrays = {"image": case.image, "seg": case.seg, "names": names, "line": np.array(case.line)}
        self.folder.mkdir(parents=True, exist_ok=True)
        write_arrays(self.path(line), arrays, self.source)

    def path(self, line: int) -> Path:
        """Return the file of a case."""
        return self.folder / f"{line:08d}.case"

    def forget_before(self, epoch: int) -> None:
        """Remove cases that no batch of this epoch or later needs."""
        first = self.lines(epoch).start
        for path in self.folder.glob("*.case"):
            if int(path.stem) < first:
                path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove all of it, and the folder of its trainer if no other fold has a pool."""
        shutil.rmtree(self.folder, ignore_errors=True)
        remove_if_empty(self.folder.parent)


class PoolKeeper:
    """Makes a pool's cases in time: in one process of a training, by another one beside it."""

    def __init__(self, cases: PooledCases, maker: CaseMaker, epochs: int) -> None:
        self.cases, self.epochs = cases, epochs
        self._make = partial(make_pooled, maker, cases)
        self._beside: Meanwhile | None = None
        self._whole: set[int] = set()  # lines whose cases are known to be there
        self._begun: list[int] = []  # lines whose cases are being made
        self._held = ExitStack()
        self._held.enter_context(locked(cases.folder.with_suffix(".lock"), f"the pool {cases.folder}"))

    def fill(self, epoch: int) -> int:
        """Make what the pool of an epoch lacks; return how many cases that was."""
        self._begin(self._missing(epoch))
        number = len(self._begun)
        for _ in tqdm(self._made(), total=number, desc="Making cases", unit="case", disable=number == 0):
            pass
        return number

    def begin_next(self, epoch: int) -> None:
        """Begin to make what the epoch after this one lacks."""
        self.cases.forget_before(epoch)
        self._begin(self._missing(epoch + 1) if epoch + 1 < self.epochs else [])

    def wait(self) -> str:
        """Wait until what was begun is made; say how long that took, or nothing where nothing was begun."""
        start, number = time.monotonic(), len(self._begun)
        for _ in self._made():
            pass
        if number == 0:
            return ""
        waited = time.monotonic() - start
        waiting = f"training waited {waited:.1f} s for them" if waited >= LOOKS else "training did not wait"
        return f"Pool: {number} cases made anew ({waiting}), {self.cases.size - number} used again."

    def close(self, remove: bool) -> None:
        """End the process beside; remove the pool where nothing needs it any more."""
        if self._beside is not None:
            self._beside.close()
        if remove:
            self.cases.remove()
        self._held.close()
        remove_if_empty(self.cases.folder.parent)  # which its lock lay in until now

    def _begin(self, lines: Sequence[int]) -> None:
        if lines and self._beside is None:
            self._beside = Meanwhile(self._make)
        if self._beside is not None:
            self._beside.begin(lines)
        self._begun = list(lines)

    def _made(self) -> Iterator[None]:
        """Yield for each case that was begun, as soon as it is there."""
        for line, _ in zip(self._begun, () if self._beside is None else self._beside.results(), strict=True):
            self._whole.add(line)
            yield
        self._begun = []

    def _missing(self, epoch: int) -> Sequence[int]:
        lines = self.cases.lines(epoch)
        self._whole |= {line for line in lines if line not in self._whole and self.cases.read(line) is not None}
        return [line for line in lines if line not in self._whole]


def make_pooled(maker: CaseMaker, cases: PooledCases, line: int) -> None:
    """Make a case of a pool."""
    try:
        cases.write(line, maker.make(line))
    except torch.cuda.OutOfMemoryError:
        raise UserError(
            f"There is too little memory on the GPU for {maker.method.name} beside the training; use a set instead, or "
            "plans with a smaller patch."
        ) from None
