"""What a benchmark compares. In: MATRIX.json. Out: the trainings it consists of, each with its commands.

All arms train for the same number of epochs, on the same folds, with the same seeds. A training seed has its own
synthetic cases; arms that differ only in how many of them they use share one set, of which they take the first ones.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nnunetv2_tf.errors import UserError
from nnunetv2_tf.folders import Dataset
from nnunetv2_tf.records import read_record, to_json
from nnunetv2_tf.sets.names import BASELINE, ENRICHED, TrainerOptions, check_set_name
from nnunetv2_tf.stamps import digest

CURE = "correct it; nnUNetv2_tf_benchmark -h shows one."


@dataclass(frozen=True)
class Arm:
    """What is compared: a way to train, with or without synthetic cases."""

    name: str
    method: str | None = None  # None: real cases only
    preset: str = "default"
    healthy: int | str | None = None
    num_cases: int | None = None
    percent: int | None = None  # of what is drawn; None: all cases alike
    filter: bool = False
    set: str | None = None  # what its sets are called, before the seed; None: after the method

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_.+\-]{1,40}", self.name):
            raise ValueError(f"an arm cannot be called {self.name!r}; use up to 40 letters, digits, _ . + and -")
        if self.method is None:
            extras = [key for key in self.given if key != "name"]
            if extras:
                raise ValueError(f"arm {self.name} has no method, so it cannot have {extras[0]}")
            return
        if self.num_cases is None or self.num_cases < 1:
            raise ValueError(f"arm {self.name} needs num_cases, a number of at least 1")
        if self.percent is not None and not 1 <= self.percent <= 100:
            raise ValueError(f"arm {self.name}: percent goes from 1 to 100, not {self.percent}")
        if self.filter:
            raise ValueError(f"arm {self.name}: this version knows no filter yet")

    @property
    def given(self) -> dict[str, Any]:
        """What differs from the defaults, which is what a user has to write."""
        return {key: value for key, value in to_json(self).items() if key == "name" or value != getattr(Arm, key)}

    @property
    def made_by(self) -> tuple[Any, ...]:
        """What its synthetic cases are made by; arms in which this is the same share them."""
        return (self.method, self.preset, self.healthy, self.filter, self.set)

    def set_name(self, seed: int) -> str:
        """The set that a training seed of this arm uses; the same for arms whose cases are made alike."""
        preset = "" if self.preset == "default" else self.preset
        called = self.set or str(self.method).rpartition(":")[2] + preset
        return f"{re.sub(r'[^a-z0-9]', '', called.lower())}seed{seed}"


@dataclass(frozen=True)
class Matrix:
    """MATRIX.json."""

    datasets: tuple[int | str, ...]
    configuration: str
    plans: str
    folds: tuple[int, ...]
    seeds: tuple[int, ...]
    epochs: int
    baseline: str  # the arm that all others are compared with
    arms: tuple[Arm, ...]

    def __post_init__(self) -> None:
        for key in ("datasets", "folds", "seeds", "arms"):
            values = [arm.name for arm in self.arms] if key == "arms" else list(getattr(self, key))
            if not values:
                raise ValueError(f"{key} is empty")
            if len(set(values)) < len(values):
                raise ValueError(f"{key} names one twice ({', '.join(map(str, values))})")
        if self.baseline not in [arm.name for arm in self.arms]:
            raise ValueError(f"baseline is {self.baseline!r}, which is none of the arms")
        if self.epochs < 1 or min(self.seeds) < 0 or min(self.folds) < 0:
            raise ValueError("epochs start at 1, seeds and folds at 0")
        self._refuse_twins()

    def _refuse_twins(self) -> None:
        """Arms that are one training under two names, and different sets under one name."""
        trained: dict[tuple, str] = {}
        made: dict[str, tuple] = {}
        for arm in self.arms:
            content = (arm.made_by, arm.num_cases, arm.percent)
            if trained.setdefault(content, arm.name) != arm.name:
                raise ValueError(f"arms {trained[content]} and {arm.name} are the same training")
            if arm.method is not None and made.setdefault(arm.set_name(0), arm.made_by) != arm.made_by:
                raise ValueError(f"the set of arm {arm.name} would be called like another arm's; name one with set")

    @property
    def hash(self) -> str:
        """The same for the same settings, also in a later version that knows more of them."""
        return digest({**to_json(self), "arms": [arm.given for arm in self.arms]})

    def num_cases(self, arm: Arm) -> int:
        """How many cases the arm's set needs, for all arms that share it."""
        return max(other.num_cases or 0 for other in self.arms if other.made_by == arm.made_by)

    def find_datasets(self) -> "Matrix":
        """The same matrix with its datasets by full name; refuses those that do not exist."""
        names = tuple(Dataset.find(str(dataset)).name for dataset in self.datasets)
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UserError(f"The matrix names {twice} twice; name each dataset once.")
        return replace(self, datasets=names)

    def trainings(self) -> Iterator["Training"]:
        """All there is to train: seed by seed, so that every arm is there as early as possible."""
        for seed in self.seeds:
            for dataset in self.datasets:
                for fold in self.folds:
                    for arm in self.arms:
                        yield Training(self, Dataset(str(dataset)), fold, seed, arm)


def read_matrix(path: Path) -> Matrix:
    """Reads MATRIX.json and looks its datasets up."""
    matrix = read_record(Matrix, path, CURE)
    for arm in matrix.arms:
        if arm.method is not None:
            check_set_name(arm.set_name(0))
    return matrix.find_datasets()


@dataclass(frozen=True)
class Training:
    """One training of a matrix, with the folder nnU-Net gives it."""

    matrix: Matrix
    dataset: Dataset
    fold: int
    seed: int
    arm: Arm

    @property
    def key(self) -> str:
        """Its name in logs and files."""
        return f"{self.dataset.name}_fold{self.fold}_seed{self.seed}_{self.arm.name}"

    @property
    def set_name(self) -> str | None:
        """The set it trains with."""
        return None if self.arm.method is None else self.arm.set_name(self.seed)

    @property
    def set_lock(self) -> Path:
        """Held while its set is made."""
        return self.dataset.sets / f".{self.set_name}.fold_{self.fold}.benchmark.lock"

    @property
    def options(self) -> TrainerOptions:
        """What its trainer's name says."""
        return TrainerOptions(self.set_name, self.arm.num_cases, self.matrix.epochs, self.seed, self.arm.percent)

    @property
    def trainer(self) -> str:
        """What comes after -tr."""
        return self.options.name(BASELINE if self.set_name is None else ENRICHED)

    @property
    def folder(self) -> Path:
        """Where nnU-Net writes it."""
        return self.dataset.model_fold(self.trainer, self.matrix.plans, self.matrix.configuration, self.fold)

    @property
    def state(self) -> str:
        """`done`, `begun` or `missing`."""
        there = {name: (self.folder / f"checkpoint_{name}.pth").exists() for name in ("final", "latest", "best")}
        if there["final"] and not there["latest"] and (self.folder / "validation" / "summary.json").exists():
            return "done"
        return "begun" if any(there.values()) else "missing"

    def commands(self, device: str) -> list[list[str]]:
        """What has to be run for it, in order; each makes what is missing only."""
        where = [self.dataset.name, self.matrix.configuration, str(self.fold)]
        plans = ["-p", self.matrix.plans]
        train = ["nnUNetv2_train", *where, "-tr", self.trainer, *plans, "-device", device, "--c"]
        if self.set_name is None:
            return [train]
        cases = ["-num_cases", str(self.matrix.num_cases(self.arm)), "-seed", str(self.seed)]
        method = ["-m", str(self.arm.method), "-preset", self.arm.preset]
        synthesize = ["nnUNetv2_tf_synthesize", *where, *method, *cases, "-s", self.set_name, *plans]
        if self.arm.healthy is None:
            return [synthesize, train]
        healthy = ["-healthy", str(self.arm.healthy)]
        preprocess = ["nnUNetv2_tf_preprocess_healthy", "-d", self.dataset.name, *healthy, *plans]
        return [[*preprocess, "-c", self.matrix.configuration], [*synthesize, *healthy], train]
