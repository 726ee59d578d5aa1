"""The processes of a benchmark. In: processes as they start and end. Out: a file by which others can pause them.

`nnUNetv2_tf_benchmark pause` and `resume` run elsewhere, so what is running stands in a file beside the logs.
"""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.io.processes import runs, stat_of

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows has none
FILES = "running"  # folder of the files
CURE = "delete it."


@dataclass
class Processes:
    """The process groups that a benchmark has started, written down as long as it runs."""

    folder: Path  # of the benchmark
    _children: set[subprocess.Popen] = field(default_factory=set)
    _guard: Any = field(default_factory=threading.Lock)

    @property
    def path(self) -> Path:
        """The file that says what is running."""
        return self.folder / FILES / f"{socket.gethostname()}_{os.getpid()}.json"

    def __enter__(self) -> "Processes":
        list(running(self.folder))  # files of killed benchmarks go
        self._write()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.path.unlink(missing_ok=True)

    def add(self, child: subprocess.Popen) -> None:
        """Write down a process that has begun, the leader of its group."""
        with self._guard:
            self._children.add(child)
            self._write()

    def remove(self, child: subprocess.Popen) -> None:
        """Forget a process that has ended, and end what it left behind."""
        end_group(child.pid)
        with self._guard:
            self._children.discard(child)
            self._write()

    def end(self, with_signal: int) -> None:
        """Send a signal to all processes and all that they started."""
        for child in list(self._children):
            _to_group(child.pid, with_signal)

    def _write(self) -> None:
        groups = [[child.pid, _begun(child.pid)] for child in self._children]
        with suppress(OSError):  # a full disk must not end what is running
            write_json(self.path, {"pid": os.getpid(), "begun": _begun(os.getpid()), "groups": groups})


def send_to_all(folder: Path, pause: bool) -> tuple[int, int]:
    """Pause or continue all that this machine is running for a folder; return how many benchmarks and commands."""
    if not hasattr(signal, "SIGSTOP"):
        raise UserError("Processes cannot be paused on this system; end the run, and start it again later.")
    number = signal.SIGSTOP if pause else signal.SIGCONT
    runners = [runner for runner, _ in running(folder) if runner is not None]
    for runner in runners:
        os.kill(runner, number)  # first, so that it starts nothing more
    groups = [group for _, of_run in running(folder) for group in of_run]
    for group in groups:
        _to_group(group, number)
    return len(runners), len(groups)


def running(folder: Path) -> Iterator[tuple[int | None, list[int]]]:
    """Yield what runs for a folder on this machine: a benchmark, None where it was killed, and its process groups."""
    for path in sorted((folder / FILES).glob(f"{socket.gethostname()}_*.json")):
        content = read_json(path, CURE)
        runner = content["pid"] if _begun(content["pid"]) == content["begun"] else None
        groups = [pid for pid, begun in content["groups"] if _begun(pid) == begun]
        if runner is None and not groups:
            path.unlink(missing_ok=True)  # of a benchmark that was killed
        else:
            yield runner, groups


def end_group(leader: int) -> None:
    """End what a process has left behind, the leader of its group: workers may outlive what started them."""
    _to_group(leader, KILL)


def _to_group(pid: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(pid, number)
        else:
            os.kill(pid, number)


def _begun(pid: int) -> str | None:
    """Return when a process began, by which a later one of its number is told apart; None when there is none."""
    stat = stat_of(pid)
    if stat:
        return stat[19]
    return "unknown" if not Path("/proc").is_dir() and runs(pid) else None
