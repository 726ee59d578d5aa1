"""Do long commands lose anything when the disk fails, when they are killed, or when somebody takes their input away?

    python -m benchmarks.soak FOLDER [-what faults kills disk trouble] [-jobs synthesize ...] [--alternate] [-kills 40]

Five commands work on a few tiny cases in FOLDER, best on a disk in memory such as /dev/shm/soak.

faults   fails each writing, fsync and replacing of a finished file in turn (a writing leaves half), with ENOSPC and EIO
kills    kills the command with all that it has started, at times drawn evenly over a whole run
disk     gives it a disk (a small tmpfs, which needs root) that is full at several points of a whole run
trouble  cuts off an input while it works, runs two copies at once, and makes the disk read-only (needs root)

After each of these the same command runs again, and must end well and leave what an undisturbed run leaves, to the
byte; arrays to the value. What it said before must have been one sentence, with exit code 2. Names that differ between
two undisturbed runs are printed, and left out. The exit code is 1 where anything went wrong.
"""

import argparse
import errno
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.soak.disk import Disk, bytes_in, used
from benchmarks.soak.runs import Ended, Running, ended, failing
from benchmarks.soak.world import BEFORE, CACHED, JOBS, Job, content, differing, make_world, preload, shorten

WHAT = ("faults", "kills", "disk", "trouble")
ERRORS = (errno.ENOSPC, errno.EIO)
FULL = 8  # points of a run at which the disk is full
ROOM = 64 << 20  # bytes of a disk that has enough


@dataclass
class Soak:
    """One job in its world."""

    job: Job
    start: Path  # the world that it starts from
    root: Path  # where it works
    expected: dict[str, object] = field(default_factory=dict)
    volatile: tuple[str, ...] = ()
    undisturbed: Ended | None = None
    wrong: int = 0

    def measure(self) -> None:
        """Run it twice without disturbance, to know what it leaves and what is never the same."""
        _, first = self._run_whole()
        run, self.expected = self._run_whole()
        self.undisturbed, self.volatile = run, tuple(differing(first, self.expected))
        print(
            f"{self.job.name}: {len(run.operations)} operations, {run.seconds:.1f} s, "
            f"{len(self.expected)} files; never the same: {', '.join(self.volatile) or 'none'}",
            flush=True,
        )

    def _run_whole(self) -> tuple[Ended, dict[str, object]]:
        self.renew()
        run = ended(self.job, self.root)
        assert run.code == 0, run.said
        return run, content(self.root)

    def renew(self) -> None:
        """Begin anew with the world that it starts from."""
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(self.start, self.root, dirs_exist_ok=True)

    def again(self, what: str, before: Ended | None, fine: Sequence[int] = ()) -> None:
        """Run it again, after what happened, and look at what it leaves.

        Args:
            what: happened
            before: how it ended then; None where it was killed
            fine: exit codes that it may have ended with instead of a refusal
        """
        problems = []
        if before is not None and not before.is_refusal and (before.code not in fine or "Traceback" in before.said):
            problems.append(f"ended with {before.code}: {before.said.strip()[-300:]!r}")
        after = ended(self.job, self.root)
        lost = differing(self.expected, content(self.root), self.volatile)
        if after.code != 0 and (lost or not after.is_refusal):  # what is there whole may be refused to be made again
            problems.append(f"cannot go on ({after.code}): {after.said.strip()[-300:]!r}")
        elif lost:
            problems.append(f"{len(lost)} files differ: {', '.join(lost[:4])}")
        self.wrong += bool(problems)
        for problem in problems:
            print(f"  WRONG: {self.job.name}, {what}: {problem}", flush=True)


def faults(soak: Soak, alternate: bool) -> Iterator[str]:
    """Fail each operation in turn, with both errors, or with one and the other in turn."""
    assert soak.undisturbed is not None
    for number, path in enumerate(soak.undisturbed.operations, 1):
        for error in ERRORS[number % 2 : number % 2 + 1] if alternate else ERRORS:
            soak.renew()
            failed = ended(soak.job, soak.root, failing(number, error))
            soak.again(
                f"operation {number}, {errno.errorcode[error]}", failed, fine=[0] if path.endswith(CACHED) else []
            )
            yield "faults"


def kills(soak: Soak, number: int, rng: np.random.Generator) -> Iterator[str]:
    """Kill it at times that are drawn evenly over a whole run."""
    assert soak.undisturbed is not None
    for moment in np.sort(rng.uniform(0, soak.undisturbed.seconds, number)):
        soak.renew()
        running = Running(soak.job, soak.root)
        time.sleep(max(0.0, running.began + moment - time.monotonic()))
        running.kill()
        killed = running.wait()
        assert killed.code in (0, -signal.SIGKILL), killed  # 0: it was quicker than ever
        soak.again(f"killed after {moment:.2f} s", None)
        yield "kills"


def full_disks(soak: Soak) -> Iterator[str]:
    """Give it a disk that is full at several points of a run; then more room."""
    begins, ends = bytes_in(soak.start), bytes_in(soak.root)
    for part in range(FULL):
        size = begins + max(ends - begins, 1 << 16) * part // FULL
        with Disk(soak.root, ROOM) as disk:
            shutil.copytree(soak.start, soak.root, dirs_exist_ok=True)
            disk.resize(used(soak.root) + size - begins)
            failed = ended(soak.job, soak.root)
            disk.resize(ROOM + ends)
            soak.again(f"{size - begins} bytes free", failed, fine=[0])
        yield "full disks"


def trouble(soak: Soak) -> Iterator[str]:
    """Cut off what it reads, in the middle of a run and from the start; two copies at once; a read-only disk."""
    assert soak.undisturbed is not None
    for moment in sorted({0, 1, len(soak.undisturbed.operations) // 3, len(soak.undisturbed.operations) // 2}):
        soak.renew()
        victim = soak.root / soak.job.reads
        cut = _cut_at(moment, victim)
        if moment == 0:
            cut(0, "", victim)
        failed = ended(soak.job, soak.root, cut)
        shutil.copy2(soak.start / soak.job.reads, victim)
        soak.again(f"{soak.job.reads} cut off at operation {moment}", failed, [0, 1] if soak.job.passes_over else [0])
        yield "inputs cut off"
    soak.renew()
    both = [Running(soak.job, soak.root), Running(soak.job, soak.root)]
    for finished in [running.wait() for running in both]:
        soak.again("two copies at once", finished, fine=[0])
    yield "copies at once"
    with Disk(soak.root, ROOM) as disk:
        shutil.copytree(soak.start, soak.root, dirs_exist_ok=True)
        disk.read_only(True)
        failed = ended(soak.job, soak.root)
        disk.read_only(False)
        soak.again("read-only disk", failed)
    yield "read-only disks"


def _cut_at(moment: int, victim: Path) -> Callable[[int, str, Path], None]:
    def cut(now: int, kind: str, path: Path) -> None:  # noqa: ARG001
        if now == moment:
            content = victim.read_bytes()
            victim.write_bytes(content[: len(content) // 2])

    return cut


def main() -> int:
    """Soak the jobs; print what happened, and return 1 where anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [job.name for job in JOBS]
    parser.add_argument("root", type=Path, help="where the world goes; what is there is deleted")
    parser.add_argument("-what", nargs="+", choices=WHAT, default=WHAT)
    parser.add_argument("-jobs", nargs="+", choices=names, default=names)
    parser.add_argument("--alternate", action="store_true", help="faults: one error for each operation, not both")
    parser.add_argument("-kills", type=int, default=40, metavar="N", help="of each job (default: 40)")
    parser.add_argument("-seed", type=int, default=0, help="of the times of kills (default: 0)")
    arguments = parser.parse_args()
    os.environ |= {"nnUNet_def_n_proc": "1", "nnUNet_n_proc_DA": "0", "OMP_NUM_THREADS": "1"}
    preload()
    shorten()
    root = arguments.root.resolve()
    shutil.rmtree(root, ignore_errors=True)
    start = root / "start"
    _in_child(lambda: make_world(start))
    wrong = 0
    for job in [job for job in JOBS if job.name in arguments.jobs]:
        wrong += _soak(job, root, start, arguments)
    print(f"{wrong} of all runs went wrong")
    return int(wrong > 0)


def _soak(job: Job, root: Path, start: Path, arguments: argparse.Namespace) -> int:
    if job.needs:
        prepared = root / f"start_{job.name}"
        shutil.copytree(start, prepared)
        for name in job.needs:
            before = ended(BEFORE[name], prepared)
            assert before.code == 0, before.said
        start = prepared
    soak = Soak(job, start, root / "work")
    soak.measure()
    done: dict[str, int] = {}
    for happened in _happenings(soak, arguments.what, arguments):
        done[happened] = done.get(happened, 0) + 1
    counted = ", ".join(f"{number} {what}" for what, number in done.items())
    print(f"{job.name}: {counted}; {soak.wrong} went wrong", flush=True)
    return soak.wrong


def _happenings(soak: Soak, what: Sequence[str], arguments: argparse.Namespace) -> Iterator[str]:
    if "faults" in what:
        yield from faults(soak, arguments.alternate)
    if "kills" in what:
        yield from kills(soak, arguments.kills, np.random.default_rng(arguments.seed))
    if "disk" in what:
        yield from full_disks(soak)
    if "trouble" in what:
        yield from trouble(soak)


def _in_child(work: Callable[[], None]) -> None:
    """Do something in a forked process, so that this one starts no thread that forks would lack."""
    child = os.fork()
    if child == 0:
        try:
            with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
                work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    if os.waitpid(child, 0)[1]:
        raise RuntimeError("the world could not be made")


if __name__ == "__main__":
    sys.exit(main())
