"""nnU-Net's folders in some place, and its console commands and ours run there, for benchmarks."""

import os
import subprocess
import sys
from pathlib import Path

from nnunetv2_tf.dataset.folders import VARIABLES, Dataset

BIN = Path(sys.executable).parent
SETTINGS = {"nnUNet_n_proc_DA": "1"}  # planning wants a worker


def enter(root: Path) -> None:
    """Set nnU-Net's variables to folders below `root`, and make the folders."""
    for variable in VARIABLES:
        os.environ[variable] = str(root / variable)
        (root / variable).mkdir(parents=True, exist_ok=True)


def is_converted(dataset: Dataset) -> bool:
    """Say whether a raw dataset is whole: dataset.json is written last."""
    return (dataset.raw / "dataset.json").exists()


def show(*command: str, **extra: str) -> int:
    """Run a console command of this environment and show what it prints; return its exit code."""
    executable, *arguments = command
    return subprocess.run([str(BIN / executable), *arguments], env={**os.environ, **extra}).returncode


def run(*command: str, **extra: str) -> None:
    """Run a console command of this environment quietly; raise RuntimeError with all it printed when it fails."""
    executable, *arguments = command
    done = subprocess.run(
        [str(BIN / executable), *arguments],
        env={**os.environ, **SETTINGS, **extra},
        capture_output=True,
        encoding="utf-8",
    )
    if done.returncode:
        raise RuntimeError(f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
