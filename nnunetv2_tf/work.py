"""How files come to be: whole or not at all; and how work is shared between jobs and processes."""

import glob
import json
import os
import platform
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

from nnunetv2_tf.errors import UserError

POLL = 0.2  # seconds between two looks at a lock

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Share:
    """Which pieces of work, by number, one of several jobs does."""

    num_parts: int = 1
    part_id: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.part_id < self.num_parts:
            raise UserError(f"-part_id goes from 0 to {self.num_parts - 1}, not {self.part_id}.")

    def __contains__(self, index: int) -> bool:
        return index % self.num_parts == self.part_id


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` to write to; it takes the place of `path` only when all went well.

    Temporary files that killed processes of this machine left of the same file are removed.
    """
    prefix = f".{path.name}.{platform.node()}."
    temporary = path.with_name(f"{prefix}{os.getpid()}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f"{glob.escape(prefix)}*.tmp*"):
        if not _runs(left.name.removeprefix(prefix).split(".")[0]):
            left.unlink(missing_ok=True)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _runs(process: str) -> bool:
    """Whether a process of this number exists; where one cannot know, yes."""
    if os.name != "posix" or not process.isdigit():
        return True
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """Yields the empty folder `path`; it and what is still in it are gone afterwards, as are leftovers from before."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def locked(path: Path, what: str, stopped: Callable[[], bool] = lambda: False) -> Iterator[tuple[int, ...]]:
    """Holds the lock file `path`; waits, and says so, while another process holds it. A killed process holds nothing.

    Yields the file descriptor of the lock: a process that inherits it holds the lock too. On systems without fcntl
    (Windows) there is no lock, and no descriptor.

    Args:
        path: of the lock file
        what: is locked, for the message
        stopped: asked while waiting, whether to give up
    """
    try:
        import fcntl
    except ImportError:
        yield ()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    said = False
    while True:
        file = os.open(path, os.O_CREAT | os.O_RDWR)
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if stopped():
                    os.close(file)
                    raise UserError(f"Stopped while waiting for another process that works on {what}.") from None
                if not said:
                    print(f"Waiting: another process works on {what}.", flush=True)
                said = True
                time.sleep(POLL)
        if path.exists() and os.path.samestat(os.fstat(file), path.stat()):
            break
        os.close(file)  # whoever held it has removed it; take the new one
    try:
        yield (file,)
    finally:
        path.unlink(missing_ok=True)
        os.close(file)


def write_json(path: Path, value: Any) -> None:
    """Writes `value` as indented JSON, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path, cure: str) -> Any:
    """Reads a JSON file. `cure` ends the sentence when it is missing or broken: what the user should do."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; {cure}") from None
    except (IsADirectoryError, NotADirectoryError):
        raise UserError(f"{path} is not a file; {cure}") from None
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error}); {cure}") from None


def in_parallel(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    num_processes: int,
    description: str,
    unit: str = "case",
) -> Iterator[Result]:
    """Yields function(item) for every item, in order, under a progress bar.

    One process, or one item, is worked on right here; more are spawned (never forked: torch has threads). The function
    goes to each process once, so it may hold much.
    """
    from tqdm import tqdm

    if not items:
        return
    progress = tqdm(total=len(items), desc=description, unit=unit)
    workers = min(num_processes, len(items))
    with progress:
        if workers <= 1:
            for item in items:
                yield function(item)
                progress.update()
            return
        with ProcessPoolExecutor(workers, get_context("spawn"), _take, (function,)) as pool:
            try:
                for result in pool.map(_apply, items):
                    yield result
                    progress.update()
            except BrokenProcessPool:
                raise UserError(
                    f"A worker process was killed while {description.lower()}, most likely because memory ran out; "
                    f"run the same command again with a smaller -np than {num_processes}."
                ) from None
            finally:
                pool.shutdown(wait=False, cancel_futures=True)


def _take(function: Callable[[Any], Any]) -> None:
    """Keeps what a worker process is to do; the worker ends when whoever started it is gone."""
    global _function
    _function = function
    end_with_parent()


def end_with_parent() -> None:
    """Called in a worker process: it ends when whoever started it is gone, and lets go of locks that it inherited."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:  # nobody would wake a worker that waits for work from a killed process
        time.sleep(1)
    os._exit(1)


def _apply(item: Any) -> Any:
    return _function(item)


_function: Callable[[Any], Any]
