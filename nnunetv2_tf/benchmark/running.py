"""Running of a benchmark. In: trainings. Out: their outcomes; nnU-Net's and our commands run as processes.

A training that fails does not stop the others. The next run continues what was killed, and waits for a training that
outlived a killed run.
"""

import datetime
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from nnunetv2_tf.benchmark.matrix import Training
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import locked

THREADS, VISIBLE = "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES"
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows has none
LOCK = ".tf_benchmark.lock"
WAKE = 0.5  # seconds
BEGIN = "### nnUNetv2_tf_benchmark"  # begins each command in a log


@dataclass(frozen=True)
class TrainingOutcome:
    """How a training ended."""

    training: Training
    seconds: float
    failure: str | None  # why it failed; None: it did not
    log: Path


@dataclass
class Runner:
    """Runs trainings, `num_processes` at once, on one device or in turn on several GPUs."""

    logs: Path
    device: str
    num_processes: int
    gpus: Sequence[int] = ()
    _children: set[subprocess.Popen] = field(default_factory=set)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def run(self, trainings: Iterable[Training]) -> Iterator[TrainingOutcome]:
        """Yield outcomes as trainings end. When this is interrupted, all processes that it started are ended, too."""
        slots: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        for slot in range(self.num_processes):
            slots.put(self.gpus[slot % len(self.gpus)] if self.gpus else None)
        with _terminable(), ThreadPoolExecutor(self.num_processes) as pool:
            try:  # includes submitting: the first trainings run while the last are submitted
                waiting = {pool.submit(self._in_a_slot, training, slots) for training in trainings}
                while waiting:
                    # not for ever: Python sees a signal that another thread got only when this one wakes up
                    done, waiting = wait(waiting, timeout=WAKE, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            finally:
                self._stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)
                for child in list(self._children):
                    _end(child, signal.SIGTERM)

    def _in_a_slot(self, training: Training, slots: "queue.SimpleQueue[int | None]") -> TrainingOutcome:
        gpu, log, begun = slots.get(), self.logs / f"{training.key}.log", time.monotonic()
        try:
            failure = self._train(training, log, gpu)
        except (UserError, OSError) as error:  # such as a full disk, which need not stop other trainings
            failure = str(error)
        finally:
            slots.put(gpu)
        return TrainingOutcome(training, time.monotonic() - begun, failure, log)

    def _train(self, training: Training, log: Path, gpu: int | None) -> str | None:
        """Run the commands of a training; return why it failed, or None."""
        training.folder.mkdir(parents=True, exist_ok=True)
        with locked(training.folder / LOCK, training.key, self._stopped.is_set) as inherited:
            if training.state == "done":
                return None
            *making, train = training.commands(self.device)
            for command in making:  # arms may share a set, so only one training makes it
                with locked(training.set_lock, f"set {training.set_name}", self._stopped.is_set) as also:
                    code = self._call(command, log, gpu, (*inherited, *also))
                if code:
                    return f"{command[0]} {_why(code, log)}"
            code = self._call(train, log, gpu, inherited)
            if code:
                return f"{train[0]} {_why(code, log)}"
        return None if training.state == "done" else "it ended without a finished validation"

    def _call(self, command: list[str], log: Path, gpu: int | None, inherited: tuple[int, ...]) -> int:
        """Run a command in a process group of its own, so that its workers end with it; return its exit code."""
        if self._stopped.is_set():
            return -signal.SIGTERM
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"\n{BEGIN} {datetime.datetime.now():%Y-%m-%d %H:%M:%S} {' '.join(command)}\n")
            file.flush()
            child = subprocess.Popen(
                [_executable(command[0]), *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=self._environment(gpu),
                start_new_session=True,
                pass_fds=inherited,
            )
        self._children.add(child)
        if self._stopped.is_set():  # since the check above; whoever stopped did not know of this child yet
            _end(child, signal.SIGTERM)
        try:
            return child.wait()
        finally:
            _end(child, KILL)
            self._children.discard(child)

    def _environment(self, gpu: int | None) -> dict[str, str]:
        environment = dict(os.environ)
        if gpu is not None:
            visible = environment.get(VISIBLE, "").split(",")  # the GPUs that a cluster gave this job
            environment[VISIBLE] = visible[gpu] if visible != [""] and gpu < len(visible) else str(gpu)
        if self.device == "cpu" and THREADS not in environment:
            environment[THREADS] = str(max(1, (os.cpu_count() or 1) // self.num_processes))
        return environment


def _executable(name: str) -> str:
    """Return the path of a console command in this Python's environment."""
    path = Path(sys.executable).parent / name
    if not path.exists():
        raise UserError(f"{path} does not exist; install nnunetv2 and nnunetv2_tf into one environment.")
    return str(path)


def _end(child: subprocess.Popen, with_signal: int) -> None:
    """Send a signal to a process and all that it started: workers may outlive a training that ran out of memory."""
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(child.pid, with_signal)
        else:
            child.kill()


def _why(code: int, log: Path) -> str:
    """Return why a command failed, by its exit code and its log."""
    if code < 0:
        return f"was ended by signal {signal.Signals(-code).name}"
    output = log.read_text(encoding="utf-8", errors="replace").rpartition(BEGIN)[2]
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    last = next((line for line in reversed(lines) if "Error: " in line), lines[-1])
    return f"ended with exit code {code}: {last}"


@contextmanager
def _terminable() -> Iterator[None]:
    """Treat SIGTERM, with which clusters end jobs, like Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
