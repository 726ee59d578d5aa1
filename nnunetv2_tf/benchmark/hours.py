"""How long a benchmark will take. In: what this machine has measured. Out: hours of jobs, where anything is known.

Trainings are judged by the epochs in nnU-Net's own logs, whoever trained; fits and sets by what earlier runs noted.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from nnunetv2_tf.benchmark.disk import missing_cases, missing_scans
from nnunetv2_tf.benchmark.job import Job
from nnunetv2_tf.benchmark.matrix import Training
from nnunetv2_tf.benchmark.times import noted_seconds, units
from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.sets.names import DEFAULT_EPOCHS, is_ours, parse_trainer_name
from nnunetv2_tf.working_space.preprocess import Plan

HOUR = 3600.0
EPOCH = re.compile(r"Epoch (\d+)\s*$|Epoch time: ([\d.]+) s", re.MULTILINE)
DEVICE = re.compile(r'"device": "(\w+)')
NEWEST = 5  # logs that are read, newest first


@dataclass
class Estimate:
    """Estimates jobs one after another, and adds up."""

    device: str
    _known: float = 0.0  # hours so far
    _unknown: list[str] = field(default_factory=list)
    _counted: set[tuple[str, ...]] = field(default_factory=set)  # commands: jobs share what they make first
    _epochs: dict[tuple[str, ...], float] = field(default_factory=dict)  # seconds, by what they depend on

    def hours(self, job: Job) -> float | None:
        """Return the hours that a job will take by itself; None where this machine has measured no such thing."""
        *making, main = job.commands(self.device)
        seconds = [self._making(command, job) for command in making if tuple(command) not in self._counted]
        seconds.append(self._epochs_left(job) if isinstance(job, Training) else noted_seconds(main, self.device))
        self._counted |= set(map(tuple, (*making, main)))
        known = [value for value in seconds if value is not None]
        self._known += sum(known) / HOUR
        if len(known) < len(seconds):
            self._unknown.append(job.key)
            return None
        return sum(known) / HOUR

    def _making(self, command: Sequence[str], job: Job) -> float | None:
        """Return how many seconds it will take to make what a job needs, as far as that is not there yet."""
        missing = 1.0  # the share of it
        if isinstance(job, Training) and command[0] == "nnUNetv2_tf_synthesize":
            missing = missing_cases([job]) / units(command)
        elif command[0] == "nnUNetv2_tf_preprocess_healthy":
            dataset, healthy, plans, configuration = (
                command[command.index(option) + 1] for option in ("-d", "-healthy", "-p", "-c")
            )
            plan = Plan.read(Dataset(dataset), plans, configuration)
            scans = Dataset.find(healthy)
            missing = missing_scans(scans, Dataset(dataset), plan) / max(1, len(raw_cases(scans)))
        if missing == 0:
            return 0.0
        seconds = noted_seconds(command, self.device)
        return None if seconds is None else missing * seconds

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
        if not self._counted:
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
        return noted_seconds(command, device)
    _, _, configuration, fold = command[:4]
    trainer, plans = (command[command.index(option) + 1] for option in ("-tr", "-p"))
    folder = dataset.model_fold(trainer, plans, configuration, fold)
    epochs, epoch = parse_trainer_name(trainer)[1].epochs or DEFAULT_EPOCHS, _seconds_per_epoch(folder, device)
    return None if epoch is None else epoch * epochs if anew else _left(folder, epochs, epoch)


def _left(folder: Path, epochs: int, seconds: float) -> float:
    """Return how long the epochs take that a training has not logged yet; without a checkpoint it begins again."""
    if not any(folder.glob("checkpoint_*.pth")):
        return seconds * epochs
    done = {number for log in folder.glob("training_log_*.txt") for number, _ in _epoch_times(log)}  # some twice: --c
    return seconds * max(0, epochs - len(done))


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
    newest = sorted(logs, key=lambda log: log.stat().st_mtime_ns, reverse=True)[:NEWEST]
    seconds = [seconds for log in newest for _, seconds in _epoch_times(log)]
    return median(seconds) if seconds else None


def _epoch_times(log: Path) -> list[tuple[int, float]]:
    """Return the epochs that ended, by number, and the seconds of each."""
    found, number = [], 0
    for begun, seconds in EPOCH.findall(log.read_text(encoding="utf-8", errors="replace")):
        if begun:
            number = int(begun)
        else:
            found.append((number, float(seconds)))
    return found


def _trained_on(folder: Path, device: str) -> bool:
    """Return whether nnU-Net's debug.json beside a log names the device."""
    path = folder / "debug.json"
    found = DEVICE.search(path.read_text(encoding="utf-8", errors="replace")) if path.exists() else None
    return found is not None and found[1] == device
