"""Running of a benchmark. In: jobs, trainings and fits. Out: their outcomes; commands run as processes.

A job that fails stops only those that need it. The next run continues what was killed, and waits for a job that
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
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from nnunetv2_tf.benchmark.job import Job
from nnunetv2_tf.benchmark.pausing import Processes
from nnunetv2_tf.benchmark.times import note_seconds
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import locked

THREADS, VISIBLE = "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES"
LOCK = ".tf_benchmark.lock"
WAKE = 0.5  # seconds
LATE = 10.0  # seconds; who wakes up that late has been stopped
BEGIN = "### nnUNetv2_tf"  # begins each command in a log


@dataclass(frozen=True)
class JobOutcome:
    """How a job ended."""

    job: Job
    seconds: float
    failure: str | None  # why it failed; None: it did not
    log: Path


@dataclass
class Runner:
    """Runs jobs, `num_processes` at once, on one device or in turn on several GPUs."""

    logs: Path
    device: str
    num_processes: int
    gpus: Sequence[int] = ()
    times: Path | None = None  # where to note how long commands take
    needs: Callable[[Job], Sequence[Job]] = lambda _: ()  # what has to be done before a job
    _processes: Processes = field(init=False)
    _paused: float = 0.0  # seconds for which this process was stopped
    _stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._processes = Processes(self.logs.parent)

    def run(self, jobs: Iterable[Job]) -> Iterator[JobOutcome]:
        """Yield outcomes as jobs end. When this is interrupted, all processes that it started are ended, too."""
        slots: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        for slot in range(self.num_processes):
            slots.put(self.gpus[slot % len(self.gpus)] if self.gpus else None)
        with terminable(), self._processes, ThreadPoolExecutor(self.num_processes) as pool:
            try:
                yield from self._in_order(jobs, slots, pool)
            finally:
                self._stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)
                self._processes.end(signal.SIGTERM)

    def _in_order(
        self, jobs: Iterable[Job], slots: "queue.SimpleQueue[int | None]", pool: ThreadPoolExecutor
    ) -> Iterator[JobOutcome]:
        """Submit each job once what it needs has ended and a slot is free, and pass outcomes on."""
        waiting = {job.key: job for job in jobs}
        all_needs = {key: {needed.key for needed in self.needs(job)} for key, job in waiting.items()}
        failed: set[str] = set()
        running: dict[Future[JobOutcome], str] = {}
        while waiting or running:
            for key, job in list(waiting.items()):  # in order, so that arms can be compared early
                needs = all_needs[key]
                lost = sorted(needs & failed)
                if lost:
                    del waiting[key]
                    failed.add(key)
                    yield JobOutcome(job, 0.0, f"it needs {lost[0]}, which failed", self._log(job))
                elif len(running) < self.num_processes and not needs & {*waiting, *running.values()}:
                    del waiting[key]
                    running[pool.submit(self._in_a_slot, job, slots)] = key
            # not for ever: Python sees a signal that another thread got only when this one wakes up
            begun = time.monotonic()
            done, _ = wait(running, timeout=WAKE, return_when=FIRST_COMPLETED)
            late = time.monotonic() - begun - WAKE
            self._paused += late if late > LATE else 0.0
            for outcome in [future.result() for future in done]:
                if outcome.failure:
                    failed.add(outcome.job.key)
                yield outcome
            for future in done:
                del running[future]

    def _log(self, job: Job) -> Path:
        return self.logs / f"{job.key}.log"

    def _in_a_slot(self, job: Job, slots: "queue.SimpleQueue[int | None]") -> JobOutcome:
        gpu, begun = slots.get(), time.monotonic()
        try:
            failure = self._do(job, gpu)
        except (UserError, OSError) as error:  # such as a full disk, which need not stop other jobs
            failure = str(error)
        finally:
            slots.put(gpu)
        return JobOutcome(job, time.monotonic() - begun, failure, self._log(job))

    def _do(self, job: Job, gpu: int | None) -> str | None:
        """Run the commands of a job; return why it failed, or None."""
        job.folder.mkdir(parents=True, exist_ok=True)
        with locked(job.folder / LOCK, job.key, self._stopped.is_set) as inherited:
            if job.state == "done":
                return None
            job.prepare()
            *making, main = job.commands(self.device)
            for command in making:  # jobs may share what they start from, so only one makes it
                with locked(job.making_lock, job.makes, self._stopped.is_set) as also:
                    code = self._call(command, self._log(job), gpu, (*inherited, *also))
                if code:
                    return f"{command[0]} {why_failed(code, self._log(job))}"
            code = self._call(main, self._log(job), gpu, inherited)
            if code:
                return f"{main[0]} {why_failed(code, self._log(job))}"
        return None if job.state == "done" else "it ended without having finished"

    def _call(self, command: list[str], log: Path, gpu: int | None, inherited: tuple[int, ...]) -> int:
        """Run a command in a process group of its own, so that its workers end with it; return its exit code."""
        if self._stopped.is_set():
            return -signal.SIGTERM
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"\n{BEGIN} {datetime.datetime.now():%Y-%m-%d %H:%M:%S} {' '.join(command)}\n")
            file.flush()
            child = subprocess.Popen(
                [executable(command[0]), *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=self._environment(gpu),
                start_new_session=True,
                pass_fds=inherited,
            )
        begun, paused = time.monotonic(), self._paused
        self._processes.add(child)
        if self._stopped.is_set():  # since the check above; whoever stopped did not know of this child yet
            self._processes.end(signal.SIGTERM)
        try:
            code = child.wait()
        finally:
            self._processes.remove(child)
        if code == 0 and self.times is not None:
            with suppress(OSError):  # a file of somebody else, or a full disk
                note_seconds(self.times, command, self.device, time.monotonic() - begun - (self._paused - paused))
        return code

    def _environment(self, gpu: int | None) -> dict[str, str]:
        environment = dict(os.environ)
        if gpu is not None:
            visible = visible_gpus()
            environment[VISIBLE] = visible[gpu] if visible else str(gpu)
        if self.device == "cpu" and THREADS not in environment:
            environment[THREADS] = str(max(1, (os.cpu_count() or 1) // self.num_processes))
        return environment


def visible_gpus() -> list[str]:
    """Return the GPUs that a cluster gave this job; none where nobody said."""
    return [gpu for gpu in os.environ.get(VISIBLE, "").split(",") if gpu]


def check_gpus(gpus: Sequence[int]) -> None:
    """Raise when one of them is none that a cluster gave this job."""
    visible = visible_gpus()
    wrong = next((gpu for gpu in gpus if gpu < 0 or (visible and gpu >= len(visible))), None)
    if wrong is not None:
        those = f"of the {len(visible)} GPUs of {VISIBLE} ({','.join(visible)})" if visible else "of the GPUs here"
        raise UserError(f"-gpus {wrong} is none {those}; count these from 0.")


def executable(name: str) -> str:
    """Return the path of a console command in this Python's environment."""
    path = Path(sys.executable).parent / name
    if not path.exists():
        raise UserError(f"{path} does not exist; install nnunetv2 and nnunetv2_tf into one environment.")
    return str(path)


def why_failed(code: int, log: Path) -> str:
    """Return why a command failed, by its exit code and its log."""
    if code < 0:
        return f"was ended by signal {signal.Signals(-code).name}"
    output = log.read_text(encoding="utf-8", errors="replace").rpartition(BEGIN)[2]
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    last = next((line for line in reversed(lines) if "Error: " in line), lines[-1])
    return f"ended with exit code {code}: {last}"


@contextmanager
def terminable() -> Iterator[None]:
    """Treat SIGTERM, with which clusters end jobs, like Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
