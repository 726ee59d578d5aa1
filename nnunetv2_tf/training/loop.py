"""Training by epochs and steps, as in nnU-Net's trainers. In: something trainable, batches, a folder.

Out, in the folder: training_log_*.txt, progress.png, previews/, checkpoint_latest.pth during the training, and
checkpoint_final.pth. A killed training resumes from its last checkpoint, on a CPU with the same result to the bit.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, NoReturn, Protocol

import torch
from torch import Tensor

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import save_torch
from nnunetv2_tf.training.distributed import Team
from nnunetv2_tf.training.loading import Arrays, Batch, batches
from nnunetv2_tf.training.logger import Logger
from nnunetv2_tf.training.memory import peak_line
from nnunetv2_tf.training.precision import Acceleration

LATEST, FINAL, PREVIEWS = "checkpoint_latest.pth", "checkpoint_final.pth", "previews"
SAVED_AFTER = 60.0  # at the end of an epoch, when the last checkpoint is so many seconds old

Curves = dict[str, list[float]]  # a curve's values by epoch, by its name


class Trainable(Protocol):
    """What `Loop` can train."""

    acceleration: Acceleration

    def begin(self, epoch: int) -> Mapping[str, float]:
        """Set what changes with the epoch, such as learning rates; return it for the curves."""
        ...

    def step(self, batch: Batch, epoch: int, step: int) -> Mapping[str, Tensor]:
        """Do one step of every optimiser; return losses and other scalars for the curves."""
        ...

    def state(self) -> dict[str, Any]:
        """Return all that is needed to resume: tensors and plain values."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Load what `state()` returned."""
        ...

    def preview(self, path: Path) -> None:
        """Paint examples of what the networks put out by now."""
        ...

    def remarks(self, curves: Curves) -> Sequence[str]:
        """Return warnings about the curves, with what to try; empty as long as nothing looks wrong."""
        ...


@dataclass(frozen=True)
class Schedule:
    """How long to train, and what to show how often."""

    epochs: int
    steps: int  # per epoch
    preview_every: int  # epochs
    groups: Mapping[str, Sequence[str]]  # names of the curves in each plot of progress.png


class Loop:
    """One training. Of several processes only the main one writes to the folder."""

    def __init__(self, learner: Trainable, schedule: Schedule, folder: Path, team: Team | None = None) -> None:
        self.learner, self.schedule, self.folder = learner, schedule, folder
        self.team = team or Team()
        self.logger = Logger(folder, silent=not self.team.is_main)
        self.curves: Curves = {}
        self.said: set[str] = set()
        self.measures = True  # after the first epoch of a run, how much memory it took
        self.precision = "bfloat16" if learner.acceleration.mixed else "float32"

    def run(self, make_batch: Callable[[int], Arrays], workers: int) -> None:
        """Train to the last epoch, from the last checkpoint on if there is one.

        Args:
            make_batch: returns the batch of a step, given its number, counted over all epochs
            workers: processes that make batches
        """
        epoch = self._resume()
        saved = perf_counter()
        with batches(make_batch, epoch * self.schedule.steps, workers) as stream:
            while epoch < self.schedule.epochs:
                self._epoch(epoch, stream)
                epoch += 1
                last = epoch == self.schedule.epochs
                if not self.team.is_main:
                    continue
                if last or epoch % self.schedule.preview_every == 0:
                    self.learner.preview(self.folder / PREVIEWS / f"epoch_{epoch:04d}.png")
                if last:
                    self._save(self.folder / FINAL, epoch)
                elif perf_counter() - saved > SAVED_AFTER:
                    self._save(self.folder / LATEST, epoch)
                    self._paint(last=False)
                    saved = perf_counter()
        if self.team.is_main:
            self._paint(last=True)  # also where a run before this one ended between its last checkpoint and this
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
        means = self.team.mean({name: total / self.schedule.steps for name, total in totals.items()})
        self._check_finite(means, epoch)
        values = {**means, **rates}
        for name, value in values.items():
            self.curves.setdefault(name, []).append(value)
        schedule = self.schedule
        self.logger.epoch(epoch, schedule.epochs, values, perf_counter() - start, schedule.steps, waited)
        if self.measures:
            self.logger.lines([peak_line()])
            self.measures = False
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

    def _check_finite(self, means: Mapping[str, float], epoch: int) -> None:
        wrong = sorted(name for name, value in means.items() if not abs(value) < float("inf"))
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
        """Load the last checkpoint, if there is one; return the epoch to begin with."""
        state = self.team.broadcast(self._last_state() if self.team.is_main else None)
        if state:
            before = state.get("precision", self.precision)
            if before != self.precision:
                self.logger.lines(
                    [f"WARNING: it was begun in {before}; on this device it goes on in {self.precision}."]
                )
            self.learner.restore(state["learner"])
            self.curves = state["curves"]
        return state.get("epoch", 0)

    def _last_state(self) -> dict[str, Any]:
        """Return the content of the last checkpoint; empty when there is none."""
        for path in (self.folder / FINAL, self.folder / LATEST):
            if path.exists():
                state = read_state(path)
                if state["epoch"] < self.schedule.epochs:
                    self.logger.lines([f"Going on after epoch {state['epoch'] - 1}, from {path.name}"])
                return state
        return {}

    def _save(self, path: Path, epoch: int) -> None:
        state = {
            "learner": self.learner.state(), "curves": self.curves, "epoch": epoch, "precision": self.precision
        }  # fmt: skip
        if not _finite(state["learner"]):
            self._stop(epoch - 1, "weights")
        save_torch(state, path)

    def _paint(self, last: bool) -> None:
        groups = self.schedule.groups
        self.logger.paint({plot: {name: self.curves[name] for name in names} for plot, names in groups.items()}, last)


def stalled(values: Sequence[float], after: int, share: float) -> bool:
    """Tell whether a curve has, after so many epochs, not fallen below a share of where it began."""
    return len(values) > after and values[-1] > share * values[0]


def _finite(state: Any) -> bool:
    """Return whether all tensors in a state are finite."""
    if isinstance(state, Mapping):
        return all(_finite(value) for value in state.values())
    if isinstance(state, (list, tuple)):
        return all(_finite(value) for value in state)
    return not isinstance(state, Tensor) or bool(torch.isfinite(state).all())


def read_state(path: Path) -> dict[str, Any]:
    """Return the content of a checkpoint that `Loop` wrote; raise when it is damaged. Nothing in it is executed."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if {"learner", "curves", "epoch"} <= set(state):
            return state
    except Exception:  # whatever pickle and zip raise for a damaged file
        pass
    raise UserError(f"{path} is damaged; delete it, or fit again with --overwrite.")
