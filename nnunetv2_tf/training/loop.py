"""Trains whatever learns by epochs and steps, as nnU-Net's trainers do. In: a learner, batches, a folder.

Out, in the folder: training_log_*.txt, progress.png, previews/, checkpoint_latest.pth while it runs, and
checkpoint_final.pth. A run that is killed goes on from its last checkpoint, on a CPU with the same result to the bit.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, NoReturn, Protocol

import torch
from torch import Tensor

from nnunetv2_tf.errors import UserError
from nnunetv2_tf.training.ddp import Team
from nnunetv2_tf.training.loading import Arrays, Batch, batches
from nnunetv2_tf.training.logger import Logger
from nnunetv2_tf.work import whole_file

LATEST, FINAL, PREVIEWS = "checkpoint_latest.pth", "checkpoint_final.pth", "previews"
SAVED_AFTER = 60.0  # seconds since the last checkpoint, at the end of an epoch

Curves = dict[str, list[float]]  # by epoch


class Learner(Protocol):
    """What can be trained."""

    def begin(self, epoch: int) -> Mapping[str, float]:
        """Sets what changes with the epoch; returns it, for the curves."""
        ...

    def step(self, batch: Batch, epoch: int, step: int) -> Mapping[str, Tensor]:
        """One step of every optimiser; returns what to keep a record of, as scalars."""
        ...

    def state(self) -> dict[str, Any]:
        """All that a later run needs to go on: tensors and plain values."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes up a state."""
        ...

    def preview(self, path: Path) -> None:
        """Paints what it can do by now."""
        ...

    def remarks(self, curves: Curves) -> Sequence[str]:
        """What looks wrong, and what to try; empty as long as nothing does."""
        ...


@dataclass(frozen=True)
class Schedule:
    """How long, and how often what is done."""

    epochs: int
    steps: int  # per epoch
    preview_every: int  # epochs
    groups: Mapping[str, Sequence[str]]  # the plots of progress.png and their curves


class Loop:
    """One run of training. Of several processes the leader keeps the folder."""

    def __init__(self, learner: Learner, schedule: Schedule, folder: Path, team: Team | None = None) -> None:
        self.learner, self.schedule, self.folder = learner, schedule, folder
        self.team = team or Team()
        self.logger = Logger(folder, silent=not self.team.leads)
        self.curves: Curves = {}
        self.said: set[str] = set()

    def run(self, make_batch: Callable[[int], Arrays], workers: int) -> None:
        """Trains to the end.

        Args:
            make_batch: from a step's number, counted over all epochs, to its batch
            workers: processes that make batches
        """
        epoch = self._resume()
        saved = perf_counter()
        with batches(make_batch, epoch * self.schedule.steps, workers) as stream:
            while epoch < self.schedule.epochs:
                self._epoch(epoch, stream)
                epoch += 1
                last = epoch == self.schedule.epochs
                if not self.team.leads:
                    continue
                if last or epoch % self.schedule.preview_every == 0:
                    self.learner.preview(self.folder / PREVIEWS / f"epoch_{epoch:04d}.png")
                if last or perf_counter() - saved > SAVED_AFTER:
                    self._save(self.folder / (FINAL if last else LATEST), epoch)
                    self._paint()
                    saved = perf_counter()
        if self.team.leads:
            (self.folder / LATEST).unlink(missing_ok=True)

    def _epoch(self, epoch: int, stream: Iterator[Batch]) -> None:
        start, waited = perf_counter(), 0.0
        rates = self.learner.begin(epoch)
        totals: dict[str, Tensor] = {}
        for step in range(self.schedule.steps):
            asked = perf_counter()
            batch = next(stream)
            waited += perf_counter() - asked
            for name, value in self._step(batch, epoch, step).items():
                totals[name] = totals[name] + value.detach() if name in totals else value.detach().clone()
        found = self.team.mean({name: total / self.schedule.steps for name, total in totals.items()})
        self._refuse_nonsense(found, epoch)
        for name, value in {**found, **rates}.items():
            self.curves.setdefault(name, []).append(value)
        self.logger.epoch(epoch, found, perf_counter() - start, self.schedule.steps, waited)
        new = [remark for remark in self.learner.remarks(self.curves) if remark not in self.said]
        self.logger.lines(new)
        self.said.update(new)

    def _step(self, batch: Batch, epoch: int, step: int) -> Mapping[str, Tensor]:
        try:
            return self.learner.step(batch, epoch, step)
        except torch.cuda.OutOfMemoryError:
            raise UserError(
                f"The GPU's memory is too small for the training in {self.folder}; take plans with a smaller patch "
                "(-p), or a GPU with more memory."
            ) from None

    def _refuse_nonsense(self, found: Mapping[str, float], epoch: int) -> None:
        wrong = sorted(name for name, value in found.items() if not abs(value) < float("inf"))
        if wrong:
            self._stop(epoch, " and ".join(wrong))

    def _stop(self, epoch: int, what: str) -> NoReturn:
        latest = self.folder / LATEST
        kept = f"{latest} holds the last good state; the same command goes on from there" if latest.exists() else (
            "no checkpoint had been written yet")  # fmt: skip
        sentence = (
            f"In epoch {epoch} {what} came to no number, so the training in {self.folder} was stopped ({kept}). If it "
            "comes to the same again, fit with another -seed and --overwrite."
        )
        self.logger.lines([sentence])
        raise UserError(sentence)

    def _resume(self) -> int:
        """The epoch to begin with."""
        state = self.team.told(self._last_state() if self.team.leads else None)
        if state:
            self.learner.restore(state["learner"])
            self.curves = state["curves"]
        return state.get("epoch", 0)

    def _last_state(self) -> dict[str, Any]:
        """Empty at the very beginning."""
        for path in (self.folder / FINAL, self.folder / LATEST):
            if path.exists():
                state = read_state(path)
                if state["epoch"] < self.schedule.epochs:
                    self.logger.lines([f"Going on after epoch {state['epoch'] - 1}, from {path.name}"])
                return state
        return {}

    def _save(self, path: Path, epoch: int) -> None:
        state = {"learner": self.learner.state(), "curves": self.curves, "epoch": epoch}
        if not _finite(state["learner"]):
            self._stop(epoch - 1, "weights")
        with whole_file(path) as temporary:
            torch.save(state, temporary)

    def _paint(self) -> None:
        self.logger.paint(
            {plot: {name: self.curves[name] for name in names} for plot, names in self.schedule.groups.items()}
        )


def _finite(state: Any) -> bool:
    """Whether all tensors in a state are numbers."""
    if isinstance(state, Mapping):
        return all(_finite(value) for value in state.values())
    if isinstance(state, (list, tuple)):
        return all(_finite(value) for value in state)
    return not isinstance(state, Tensor) or bool(torch.isfinite(state).all())


def read_state(path: Path) -> dict[str, Any]:
    """What a checkpoint of ours holds; nothing in it is executed."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if {"learner", "curves", "epoch"} <= set(state):
            return state
    except Exception:  # whatever pickle and zip raise for a damaged file
        pass
    raise UserError(f"{path} is damaged; delete it, or fit again with --overwrite.")
