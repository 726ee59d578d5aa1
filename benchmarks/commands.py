"""nnU-Net's folders in some place, and its console commands and ours run there, for benchmarks."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from nnunetv2_tf.dataset.folders import VARIABLES, Dataset
from nnunetv2_tf.io.processes import stat_of

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


def measured(*command: str) -> tuple[float, float]:
    """Run a console command of this environment without a word; raise RuntimeError when it fails.

    Returns:
        the seconds that it took, and the most memory that any of its processes had, in GiB; they are looked at five
        times a second, since workers are forks of a server and not children of the command
    """
    executable, *arguments = command
    began, peak = time.perf_counter(), 0.0
    process = subprocess.Popen(
        [str(BIN / executable), *arguments],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        while process.poll() is None:
            peak = max(peak, *map(_memory, _of_session(process.pid)), 0.0)
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
    finally:
        if process.poll() is None:  # Ctrl-C reaches this session only
            os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return time.perf_counter() - began, peak


def _of_session(session: int) -> list[Path]:
    """Return the folders below /proc of a session's processes."""
    return [folder for folder in Path("/proc").glob("[0-9]*") if stat_of(int(folder.name))[3:4] == [str(session)]]


def _memory(process: Path) -> float:
    """Return the most memory that a process has had, in GiB; 0 where it has ended."""
    with suppress(OSError):
        for line in (process / "status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**20
    return 0.0
