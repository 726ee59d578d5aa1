"""The matrix of a benchmark. In: MATRIX.json. Out: the trainings that it consists of, each with its commands.

All arms train for the same number of epochs, on the same folds, with the same seeds. Each training seed has its own
synthetic cases; arms that differ only in how many of them they use share one set, of which they take the first cases.
"""

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from nnunetv2_tf.benchmark.arm import Arm
from nnunetv2_tf.benchmark.few_labels import FoldUse, drawn_folds
from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.folds import Split, fold_split
from nnunetv2_tf.io.digests import digest, file_digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.io.json_dataclass import read_record, to_json
from nnunetv2_tf.sets.names import BASELINE, DEFAULT_PRESET, ENRICHED, MIXUP, ONLINE, TrainerOptions, check_set_name
from nnunetv2_tf.sets.store import SetPart

CURE = "correct it; nnUNetv2_tf_benchmark -h shows one."
AGAIN = "delete the training's folder and run again."
BEGINNING = "tf_pretrained_weights.json"  # in a training's folder, where it does not begin with random weights
PROCESSED = "postprocessing"  # in a training's folder


@dataclass(frozen=True)
class Matrix:
    """The content of MATRIX.json."""

    datasets: tuple[int | str, ...]
    configuration: str
    plans: str
    folds: tuple[int, ...]
    seeds: tuple[int, ...]
    epochs: int
    baseline: str  # the arm that all others are compared with
    arms: tuple[Arm, ...]
    train_cases: tuple[int, ...] = ()  # train on so many labelled cases of each fold, a learning curve; (): on all
    draws: int = 1  # of so many cases
    precision: Literal["bf16"] | None = None  # of all trainings; None: nnU-Net's own
    pretrained_weights: str | None = None  # checkpoint that all trainings begin with
    postprocessing: Literal["none", "nnunet"] = "none"  # of all arms' segmentations

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
        if self.draws < 1 or any(number < 1 for number in self.train_cases):
            raise ValueError("train_cases and draws start at 1")
        if len(set(self.train_cases)) < len(self.train_cases):
            raise ValueError("train_cases names one number twice")
        if self.draws > 1 and not self.train_cases:
            raise ValueError("draws needs train_cases, the numbers of labelled cases to draw")
        self._check_no_twins()

    def _check_no_twins(self) -> None:
        """Raise when two arms are the same training, or different sets would have the same name."""
        trained: dict[tuple, str] = {}
        made: dict[str, tuple] = {}
        for arm in self.arms:
            content = (arm.made_by, arm.num_cases, arm.percent, arm.online, arm.mixup)
            if trained.setdefault(content, arm.name) != arm.name:
                raise ValueError(f"arms {trained[content]} and {arm.name} are the same training")
            if arm.has_sets and made.setdefault(arm.set_name(0), arm.made_by) != arm.made_by:
                raise ValueError(f"the set of arm {arm.name} would be called like another arm's; name one with set")

    @property
    def given(self) -> dict[str, Any]:
        """The settings that differ from the defaults."""
        given = {key: value for key, value in to_json(self).items() if value != DEFAULTS.get(key, ...)}
        if self.pretrained_weights is not None:  # their content is noted with each training; the disk may change
            given["pretrained_weights"] = Path(self.pretrained_weights).name
        return {**given, "arms": [arm.given for arm in self.arms]}

    @property
    def hash(self) -> str:
        """The digest of the settings, without defaults: settings that later versions add do not change it."""
        return digest(self.given)

    def preprocess_command(self, dataset: Dataset, healthy: str) -> list[str]:
        """Return the command that preprocesses a dataset of healthy scans by a labelled one's plans."""
        scans = ["-d", dataset.name, "-healthy", healthy]
        return ["nnUNetv2_tf_preprocess_healthy", *scans, "-p", self.plans, "-c", self.configuration]

    def num_cases(self, arm: Arm) -> int:
        """Return how many cases the arm's set needs, for all arms that share it."""
        return max(other.num_cases or 0 for other in self.arms if other.made_by == arm.made_by)

    def find_datasets(self) -> "Matrix":
        """Return the matrix with full names of its datasets; raise when one does not exist or is named twice."""
        names = tuple(Dataset.find(str(dataset)).name for dataset in self.datasets)
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UserError(f"The matrix names {twice} twice; name each dataset once.")
        return replace(self, datasets=names)

    def trainings(self) -> Iterator["Training"]:
        """Yield all trainings, seed by seed, so that all arms can be compared as early as possible."""
        for seed in self.seeds:
            for dataset in self.datasets:
                for use in self.uses(Dataset(str(dataset))):
                    for arm in self.arms:
                        yield Training(self, Dataset(str(dataset)), use, seed, arm)

    def uses(self, dataset: Dataset) -> list[FoldUse]:
        """Return the entries of splits_final.json that it trains on: its folds, or draws of few cases of each."""
        if not self.train_cases:
            return [FoldUse(fold) for fold in self.folds]
        return drawn_folds(dataset, self.folds, self.train_cases, self.draws)


DEFAULTS = {entry.name: to_json(entry.default) for entry in fields(Matrix) if entry.default is not MISSING}


def read_matrix(path: Path) -> Matrix:
    """Read MATRIX.json and look its datasets up; a relative path in it is seen from its folder."""
    matrix = read_record(Matrix, path, CURE)
    for arm in matrix.arms:
        if arm.has_sets:
            check_set_name(arm.set_name(0))
    if matrix.pretrained_weights is not None:
        weights = (path.parent / matrix.pretrained_weights).resolve()
        if not weights.is_file():
            raise UserError(f"{path}: the pretrained_weights {weights} do not exist; {CURE}")
        matrix = replace(matrix, pretrained_weights=str(weights))
    return matrix.find_datasets()


@dataclass(frozen=True)
class Training:
    """One training of a matrix, and where nnU-Net writes it."""

    matrix: Matrix
    dataset: Dataset
    use: FoldUse
    seed: int
    arm: Arm

    @property
    def fold(self) -> int:
        """The entry of splits_final.json, nnU-Net's fold."""
        return self.use.fold

    @property
    def split(self) -> Split:
        """The real cases that it trains and validates on."""
        return fold_split(self.dataset, self.fold, raw_cases(self.dataset))

    @property
    def kind(self) -> str:
        """What it is, in a word."""
        return "training"

    @property
    def key(self) -> str:
        """The training's name in logs and files."""
        return f"{self.dataset.name}_fold{self.fold}_seed{self.seed}_{self.arm.name}"

    @property
    def baseline(self) -> "Training":
        """The training through which methods learn in its fold, and that filters: nnU-Net alone, by the first seed."""
        plain = next((arm for arm in self.matrix.arms if arm.is_plain), None)
        if plain is None:
            raise UserError(
                f"Arm {self.arm.name} learns through a baseline, or filters by one, and no arm of the matrix trains "
                'it; add {"name": "nnunet", "method": null}.'
            )
        return replace(self, arm=plain, seed=self.matrix.seeds[0])

    @property
    def set_name(self) -> str | None:
        """The name of the set that it trains with; None: it has no set."""
        return self.arm.set_name(self.seed) if self.arm.has_sets else None

    @property
    def part(self) -> SetPart:
        """The part of its set; only of arms with a method."""
        return SetPart(self.dataset, str(self.set_name), self.fold)

    @property
    def makes(self) -> str:
        """What it shares with other trainings."""
        return f"set {self.set_name}" if self.arm.has_sets else f"scans of {self.arm.healthy} for {self.key}"

    @property
    def making_lock(self) -> Path:
        """The lock to hold while its set is made, or while scans are preprocessed for what it makes itself."""
        if self.arm.online and self.arm.healthy is not None:
            return self.dataset.sets / f".{Dataset.find(str(self.arm.healthy)).name}.benchmark.lock"
        return self.dataset.sets / f".{self.set_name}.fold_{self.fold}.benchmark.lock"

    @property
    def options(self) -> TrainerOptions:
        """The options in its trainer's name."""
        matrix, arm = self.matrix, self.arm
        options = TrainerOptions(self.set_name, arm.num_cases, matrix.epochs, self.seed, arm.percent, matrix.precision)
        if not arm.online:
            return options
        healthy = None if arm.healthy is None else int(Dataset.find(str(arm.healthy)).number)
        preset = None if arm.preset == DEFAULT_PRESET else arm.preset
        return replace(options, method=arm.method, healthy=healthy, preset=preset)

    @property
    def trainer(self) -> str:
        """The trainer's name, for -tr."""
        if self.arm.online:
            return self.options.name(ONLINE)
        alone = MIXUP if self.arm.mixup else BASELINE
        return self.options.name(alone if self.set_name is None else ENRICHED)

    @property
    def folder(self) -> Path:
        """The result folder, where nnU-Net writes the training."""
        return self.dataset.model_fold(self.trainer, self.matrix.plans, self.matrix.configuration, self.fold)

    @property
    def state(self) -> str:
        """`done`, `begun` or `missing`."""
        exists = {name: (self.folder / f"checkpoint_{name}.pth").exists() for name in ("final", "latest", "best")}
        if exists["final"] and not exists["latest"] and (self.folder / "validation" / "summary.json").exists():
            return "done"
        return "begun" if any(exists.values()) else "missing"

    @property
    def segmentations(self) -> Path:
        """The folder of the segmentations that are scored."""
        return (self.folder if self.matrix.postprocessing == "none" else self.folder / PROCESSED) / "validation"

    @property
    def beginning(self) -> dict[str, str] | None:
        """What it begins with, as it is noted; None: random weights."""
        weights = self.matrix.pretrained_weights
        return None if weights is None else {"pretrained_weights": weights, "sha256": file_digest(Path(weights))}

    def prepare(self) -> None:
        """Note what it begins with: nnU-Net's own files do not tell."""
        if self.state == "missing":  # an earlier run may have ended before its first checkpoint
            (self.folder / BEGINNING).unlink(missing_ok=True)
            beginning = self.beginning
            if beginning is not None:
                write_json(self.folder / BEGINNING, beginning)

    def check_same_beginning(self) -> None:
        """Raise when the training was begun with other weights."""
        if self.state == "missing":
            return
        path = self.folder / BEGINNING
        both = (read_json(path, AGAIN) if path.exists() else None, self.beginning)
        if len({each["sha256"] if each else None for each in both}) > 1:
            names = [each["pretrained_weights"] if each else "random weights" for each in both]
            change = " (whose content has changed)" if names[0] == names[1] else ""
            raise UserError(f"{self.folder} began with {names[0]}, and the matrix asks for {names[1]}{change}; {AGAIN}")

    def commands(self, device: str) -> list[list[str]]:
        """Return the commands of the training in order; each makes only what is missing."""
        where = [self.dataset.name, self.matrix.configuration, str(self.fold)]
        plans = ["-p", self.matrix.plans]
        weights = self.matrix.pretrained_weights
        start = ["--c"] if weights is None or self.state != "missing" else ["-pretrained_weights", weights]
        train = ["nnUNetv2_train", *where, "-tr", self.trainer, *plans, "-device", device, *start]
        healthy = None if self.arm.healthy is None else Dataset.find(str(self.arm.healthy)).name
        prepare = [] if healthy is None else [self.matrix.preprocess_command(self.dataset, healthy)]
        if self.set_name is None:
            return [*prepare, train]
        cases = ["-num_cases", str(self.matrix.num_cases(self.arm)), "-seed", str(self.seed)]
        method = ["-m", str(self.arm.method), "-preset", self.arm.preset]
        method += ["-filter", "-tr", self.baseline.trainer] if self.arm.filter else []
        method += [] if self.arm.volume_ml is None else ["-volume_ml", *(f"{size:g}" for size in self.arm.volume_ml)]
        synthesize = ["nnUNetv2_tf_synthesize", *where, *method, *cases, "-s", self.set_name, *plans]
        hosts = [] if healthy is None else ["-healthy", healthy]
        return [*prepare, [*synthesize, *hosts], train]
