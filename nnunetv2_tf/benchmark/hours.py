"""How long a benchmark will take. In: what this machine has measured. Out: hours of jobs, where anything is known.

Trainings are judged by the epochs in nnU-Net's own logs, whoever trained; fits and sets by what earlier runs noted.
"""

import json
import os
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median

from nnunetv2_tf.benchmark.job import Job
from nnunetv2_tf.benchmark.matrix import Training
from nnunetv2_tf.dataset.folders import Dataset, nnunet_folder
from nnunetv2_tf.sets.names import DEFAULT_EPOCHS, is_ours, parse_trainer_name

HOUR = 3600.0
EPOCH = re.compile(r"Epoch time: ([\d.]+) s")
DEVICE = re.compile(r'"device": "(\w+)')
# options of a command that do not change how long a unit of it takes
VARYING = {"-s", "-seed", "-num_cases", "-tr", "-f"}
KEPT = 5  # logs that are read, newest first


def times_file() -> Path:
    """Return where runs note how long commands took."""
    return nnunet_folder("nnUNet_results") / "tf_benchmark" / "times.jsonl"


def note_seconds(path: Path, command: Sequence[str], device: str, seconds: float) -> None:
    """Append how long a command took on this machine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    entry = {"host": socket.gethostname(), "kind": _kind(command, device), "units": _units(command), "seconds": seconds}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


@dataclass
class Clock:
    """Estimates jobs one after another, and adds up."""

    device: str
    _known: float = 0.0  # hours so far
    _unknown: list[str] = field(default_factory=list)
    _making: set[Path] = field(default_factory=set)  # locks of what is counted already
    _epochs: dict[tuple[str, ...], float] = field(default_factory=dict)  # seconds, by what they depend on

    def hours(self, job: Job) -> float | None:
        """Return the hours that a job will take by itself; None where this machine has measured no such thing."""
        *making, main = job.commands(self.device)
        there = isinstance(job, Training) and (job.set_name is None or job.part.exists())
        if there or job.making_lock in self._making:  # jobs share what is made under the same lock
            making = []
        self._making.add(job.making_lock)
        seconds = [_noted(command, self.device) for command in making]
        seconds.append(self._epochs_left(job) if isinstance(job, Training) else _noted(main, self.device))
        known = [value for value in seconds if value is not None]
        self._known += sum(known) / HOUR
        if len(known) < len(seconds):
            self._unknown.append(job.key)
            return None
        return sum(known) / HOUR

    def _epochs_left(self, training: Training) -> float | None:
        """Return how many seconds the epochs will take that a training has not logged yet."""
        matrix = training.matrix
        same = (training.dataset.name, matrix.plans, matrix.configuration, str(matrix.precision))
        epoch = self._epochs.get(same) or _seconds_per_epoch(training.folder, self.device)
        if epoch is None:
            return None
        self._epochs[same] = epoch
        return _left(training.folder, matrix.epochs, epoch)

    @property
    def total(self) -> str:
        """A sentence about all jobs so far."""
        unknown = f"{', '.join(self._unknown[:3])}{', ...' if len(self._unknown) > 3 else ''}"
        if not self._making:
            return "Nothing is left to do."
        if not self._known and self._unknown:
            return f"How long it takes is not known: this machine has measured no like of {unknown} yet."
        text = f"In all about {self._known:.2g} hours one after another, as this machine has measured."
        if self._unknown:
            text += (
                f" Not in it, or not all of it: {len(self._unknown)} jobs that it has measured no like of ({unknown})."
            )
        return text


def seconds_of(command: Sequence[str], dataset: Dataset, device: str, anew: bool = False) -> float | None:
    """Return how long a command will take, None where this machine has measured no such thing.

    Args:
        command: one of ours, or nnUNetv2_train for a dataset
        dataset: that one
        device: where
        anew: a training begins again, whatever its folder holds
    """
    if command[0] != "nnUNetv2_train":
        return _noted(command, device)
    _, _, configuration, fold = command[:4]
    trainer, plans = (command[command.index(option) + 1] for option in ("-tr", "-p"))
    folder = dataset.model_fold(trainer, plans, configuration, fold)
    epochs, epoch = parse_trainer_name(trainer)[1].epochs or DEFAULT_EPOCHS, _seconds_per_epoch(folder, device)
    return None if epoch is None else epoch * epochs if anew else _left(folder, epochs, epoch)


def _left(folder: Path, epochs: int, seconds: float) -> float:
    """Return how long the epochs take that a training has not logged yet."""
    done = sum(len(_epoch_times(log)) for log in folder.glob("training_log_*.txt"))
    return seconds * max(0, epochs - done)


def _seconds_per_epoch(folder: Path, device: str) -> float | None:
    """Return the median over nnU-Net's logs of trainings like the one in a folder: same plans and precision."""
    trainer, plans, configuration = folder.parent.name.split("__")
    results, bf16 = folder.parent.parent, trainer.endswith("_bf16")
    logs = [
        log
        for folder in sorted(results.glob(f"*__{plans}__{configuration}"))
        if is_ours(name := folder.name.split("__")[0]) and name.endswith("_bf16") is bf16
        for log in folder.glob("fold_*/training_log_*.txt")
        if _trained_on(log.parent, device)
    ]
    newest = sorted(logs, key=lambda log: log.stat().st_mtime_ns, reverse=True)[:KEPT]
    seconds = [seconds for log in newest for seconds in _epoch_times(log)]
    return median(seconds) if seconds else None


def _epoch_times(log: Path) -> list[float]:
    return list(map(float, EPOCH.findall(log.read_text(encoding="utf-8", errors="replace"))))


def _trained_on(folder: Path, device: str) -> bool:
    """Return whether nnU-Net's debug.json beside a log names the device."""
    path = folder / "debug.json"
    found = DEVICE.search(path.read_text(encoding="utf-8", errors="replace")) if path.exists() else None
    return found is not None and found[1] == device


def _noted(command: Sequence[str], device: str) -> float | None:
    """Return the median of what earlier runs noted on this machine, for as many units as the command has."""
    path = times_file()
    if not path.exists():
        return None
    kind, host, seconds = _kind(command, device), socket.gethostname(), []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
            if (entry["kind"], entry["host"]) == (kind, host):
                seconds.append(entry["seconds"] / entry["units"])
        except (ValueError, KeyError, TypeError, ZeroDivisionError):  # a line that a kill cut off
            continue
    whole = [each for each in seconds if each > max(seconds) / 3]  # others found most of their work done
    return median(whole) * _units(command) if whole else None


def _kind(command: Sequence[str], device: str) -> str:
    """Return what takes the same time each time: the command without names, seeds, counts and paths, and its fold."""
    kept = [word for before, word in pairwise(["", *command]) if not {before, word} & VARYING and os.sep not in word]
    if len(kept) > 3 and kept[3].isdigit():
        del kept[3]  # the fold
    return " ".join([*kept, device])


def _units(command: Sequence[str]) -> int:
    """Return how many cases a command makes; 1 where it makes none."""
    return int(command[list(command).index("-num_cases") + 1]) if "-num_cases" in command else 1
