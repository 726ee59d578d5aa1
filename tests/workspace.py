"""nnU-Net's three folders in a temporary place, and its real commands run in them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import blosc2
import torch

from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.folders import VARIABLES, Dataset
from nnunetv2_tf.dataset.folds import fold_split
from nnunetv2_tf.io.arguments import Fold
from nnunetv2_tf.sets import manage
from nnunetv2_tf.standin.foreign import write_foreign_cases
from nnunetv2_tf.standin.plans import NAME as TINY
from nnunetv2_tf.working_space.network_plans import write_plans_with
from nnunetv2_tf.working_space.preprocess import Plan

BIN = Path(sys.executable).parent
PLANNED = Path(__file__).parent / "planned"  # what nnU-Net writes when it plans the fixture `template`
HEALTHY = Dataset("Dataset601_Healthy")
TRAINER = "TFBaselineTrainer_1epochs_seed0"
QUIET = {"nnUNet_def_n_proc": "1", "nnUNet_n_proc_DA": "1", "PYTHONWARNINGS": "ignore"}


@dataclass(frozen=True)
class Workspace:
    root: Path
    dataset: Dataset
    origin: Path | None = None  # root of the template that it came of, where foreign cases are drawn already

    @property
    def variables(self) -> dict[str, str]:
        return {name: str(self.root / name) for name in VARIABLES}

    @property
    def id(self) -> str:
        return self.dataset.number

    @property
    def results(self) -> Path:
        return self.root / "nnUNet_results" / self.dataset.name

    def run(self, *command: object, expect: int = 0, **extra: str) -> subprocess.CompletedProcess[str]:
        """Runs a console command of this environment, as a user would."""
        process = self.start(*command, **extra)
        output, errors = process.communicate()
        assert process.returncode == expect, f"{command} ended with {process.returncode}\n{output}\n{errors}"
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def start(self, *command: object, **extra: str) -> subprocess.Popen[str]:
        """Starts a console command, whose output is for the caller to read."""
        executable, *arguments = map(str, command)
        return subprocess.Popen(
            [str(BIN / executable), *arguments],
            env={**os.environ, **QUIET, **self.variables, **extra},
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )

    def copy(self, root: Path) -> "Workspace":
        """A copy that a test may change."""
        for variable in VARIABLES:
            shutil.copytree(self.root / variable, root / variable)
        return Workspace(root, self.dataset, self.origin)

    def foreign_cases(self, fold: int | str = 0, num_cases: int = 4, seed: int = 0) -> Path:
        """A folder of foreign cases for one fold; needs the environment of this workspace.

        Four of fold 0 are drawn once, for all that begin with the template: ask for another number where the test has
        changed real cases or splits before.
        """
        name = f"foreign_{fold}_{num_cases}_{seed}"
        folder, drawn = self.root / name, self.origin and self.origin / name
        if drawn is not None and drawn.is_dir() and drawn != folder:
            fold_split(
                self.dataset, cast(Fold, fold), raw_cases(self.dataset)
            )  # writes splits_final.json, as drawing does
            return Path(shutil.copytree(drawn, folder))
        write_foreign_cases(self.dataset, fold, folder, num_cases, seed)
        return folder

    def plan(self, configuration: str = "3d_fullres", name: str = TINY) -> Plan:
        return Plan.read(self.dataset, name, configuration)

    def trainer(
        self, name: str, fold: int | str = 0, configuration: str = "3d_fullres", plans: str = TINY, **settings
    ) -> Any:
        """A trainer as nnUNetv2_train makes it, cut down to a few steps."""
        from nnunetv2.run.run_training import get_trainer_from_args

        continued = settings.pop("continue_training", False)
        trainer = get_trainer_from_args(
            self.dataset.name, configuration, cast(int, fold), name, plans, continued, torch.device("cpu")
        )
        steps = {"num_epochs": 1, "num_iterations_per_epoch": 2, "num_val_iterations_per_epoch": 1, **settings}
        for setting, value in steps.items():
            setattr(trainer, setting, value)
        return trainer


def add_set(
    workspace: Workspace, name: str, fold: int | str = 0, num_cases: int = 4, configurations=("3d_fullres",), plans=TINY
) -> None:
    """Adds foreign cases as a set."""
    folder = workspace.foreign_cases(fold, num_cases)
    manage.add(
        manage.AddRequest(
            workspace.id, folder, name, (cast(Fold, fold),), folder / "ancestors.json", configurations, plans, 1
        )
    )


def write_test_plans(
    dataset: Dataset, source: str = "nnUNetPlans", name: str = TINY, patch: tuple[int, int, int] = (16, 16, 16)
) -> None:
    """Writes plans of so small a network that an epoch of nnU-Net's takes four seconds."""
    write_plans_with(dataset, source, name, patch, features=(4, 8, 8), convolutions=1)


def log_of(folder: Path) -> str:
    """The text of all training logs in a fold folder."""
    return "".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("training_log_*.txt")))


def tree(folder: Path, ignore: Iterable[str] = ()) -> dict[str, bytes]:
    """All files below a folder, by relative path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part in path.parts for part in ignore)
    }


def stored(folder: Path) -> dict[str, object]:
    """What nnU-Net reads back from a folder of preprocessed cases, bit for bit.

    Not the files' bytes: blosc2 compresses blocks in threads and writes them as they come, so those of larger arrays
    differ each time nnU-Net itself stores the same case.
    """
    found: dict[str, object] = {path.name: path.read_bytes() for path in folder.glob("*.pkl")}
    for path in folder.glob("*.b2nd"):
        array = cast(Any, blosc2.open(str(path), mode="r"))
        found[path.name] = (array.shape, array.dtype, array.blocks, array.chunks, array[:].tobytes())
    return found
