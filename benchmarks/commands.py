"""nnU-Net's folders in some place, and its console commands and ours run there, for benchmarks."""

import os
import subprocess
import sys
from pathlib import Path

from nnunetv2_tf.folders import VARIABLES

BIN = Path(sys.executable).parent
SETTINGS = {"nnUNet_n_proc_DA": "1"}  # planning wants a worker


def enter(root: Path) -> None:
    """Sets nnU-Net's variables to folders below `root`."""
    for variable in VARIABLES:
        os.environ[variable] = str(root / variable)
        (root / variable).mkdir(parents=True, exist_ok=True)


def show(*command: str, **extra: str) -> int:
    """Runs a console command of this environment and shows what it prints; returns its exit code."""
    executable, *arguments = command
    return subprocess.run([str(BIN / executable), *arguments], env={**os.environ, **extra}).returncode


def run(*command: str, **extra: str) -> None:
    """Runs a console command of this environment without its output."""
    executable, *arguments = command
    done = subprocess.run(
        [str(BIN / executable), *arguments],
        env={**os.environ, **SETTINGS, **extra},
        capture_output=True,
        encoding="utf-8",
    )
    if done.returncode:
        raise RuntimeError(f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
