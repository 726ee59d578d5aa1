"""Commands in forked processes, with a disk that fails when told to. In: a job. Out: how it ended.

A command takes seconds to import what it needs; a fork of a process that has it takes none.
"""

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.soak.world import Job, command, work_in
from nnunetv2_tf.io import files

Trouble = Callable[[int, str, Path], None]  # gets the number of an operation, its kind and file; may raise


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int  # below 0: the signal that killed it
    said: str  # on stderr
    operations: tuple[str, ...]  # of the disk: the files they were of
    seconds: float

    @property
    def is_refusal(self) -> bool:
        """Whether it ended as users are promised: exit code 2, and one sentence without a traceback."""
        lines = [line for line in self.said.strip().splitlines() if line.startswith("Error: ")]
        return self.code == 2 and len(lines) == 1 and "Traceback" not in self.said


class Running:
    """A command in a forked process."""

    def __init__(self, job: Job, root: Path, trouble: Trouble | None = None) -> None:
        self.began = time.monotonic()
        self.pid = os.fork()
        process = self.pid or os.getpid()
        self.log, self.count = (root.with_name(f"{root.name}.{process}.{what}") for what in ("log", "count"))
        if self.pid == 0:
            _run(job, root, trouble, self.log, self.count)
        with contextlib.suppress(PermissionError, ProcessLookupError):
            os.setpgid(self.pid, self.pid)  # whoever of the two comes first

    def wait(self) -> Ended:
        """Wait for its end."""
        _, status = os.waitpid(self.pid, 0)
        said = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        operations = tuple(self.count.read_text(encoding="utf-8").splitlines()) if self.count.exists() else ()
        for path in (self.log, self.count):
            path.unlink(missing_ok=True)
        return Ended(os.waitstatus_to_exitcode(status), said, operations, time.monotonic() - self.began)

    def kill(self) -> None:
        """Kill it, and all that it has started, as kill -9 does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


def ended(job: Job, root: Path, trouble: Trouble | None = None) -> Ended:
    """Run a job to its end."""
    return Running(job, root, trouble).wait()


def failing(number: int, error: int) -> Trouble:
    """Return trouble that lets one operation fail: a write leaves half of the file, as a full disk does."""

    def fail(now: int, kind: str, path: Path) -> None:
        if now != number:
            return
        if kind == "write":
            os.truncate(path, path.stat().st_size // 2)
        raise OSError(error, os.strerror(error), str(path))

    return fail


def _run(job: Job, root: Path, trouble: Trouble | None, log: Path, count: Path) -> None:
    """Do the job in this forked process, and end it."""
    os.setpgid(0, 0)
    code = 1
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, sys.stdout.fileno())
        os.dup2(output, sys.stderr.fileno())
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: PLW1514, SIM115
        work_in(root)
        done = _watch_disk(trouble)
        sys.argv = [job.module, *job.arguments]
        try:
            code = command(job)()
        finally:
            count.write_text("\n".join(done), encoding="utf-8")
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _watch_disk(trouble: Trouble | None) -> list[str]:
    """List the files of the operations that put finished ones in their place, from now on."""
    done: list[str] = []
    sync, swap = files._sync, files._replace

    def operation(kind: str, path: Path) -> None:
        done.append(str(path))
        if trouble is not None:
            trouble(len(done), kind, path)

    def watched_sync(path: Path) -> None:
        if not path.is_dir():
            operation("write", path)
        operation("fsync", path)
        sync(path)

    def watched_swap(finished: Path, path: Path) -> None:
        operation("replace", path)
        swap(finished, path)

    files._sync, files._replace = watched_sync, watched_swap
    return done
