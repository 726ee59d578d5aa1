"""Work shared between jobs and processes. In: a function and its items. Out: the results, in the order of the items."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_all_start_methods, get_context, parent_process
from multiprocessing.context import BaseContext
from typing import Any, TypeVar

from nnunetv2_tf.io.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Share:
    """The part of the work that one of several jobs does: `index in share` tells whether it does piece `index`."""

    num_parts: int = 1
    part_id: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.part_id < self.num_parts:
            raise UserError(f"-part_id goes from 0 to {self.num_parts - 1}, not {self.part_id}.")

    def __contains__(self, index: int) -> bool:
        return index % self.num_parts == self.part_id


def in_parallel(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    num_processes: int,
    description: str,
    unit: str = "case",
    option: str = "-np",
) -> Iterator[Result]:
    """Yield function(item) for every item, in order, under a progress bar.

    With one process, or one item, the work is done in this process. The function is sent to each process once, so it
    may hold much data. `option` is what users choose their number by, for the sentence when memory runs out.
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
        with _pool(workers, function) as pool:
            try:
                for result in pool.map(_apply, items):
                    yield result
                    progress.update()
            except BrokenProcessPool:
                raise UserError(
                    f"A worker process was killed while {description.lower()}, most likely because memory ran out; "
                    f"run the same command again with a smaller {option} than {num_processes}."
                ) from None
            finally:
                pool.shutdown(wait=False, cancel_futures=True)


class Meanwhile:
    """A process of its own that applies a function to items while this one does something else."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._pool = _pool(1, function)
        self._begun: list[Future] = []

    def begin(self, items: Sequence[Any]) -> None:
        """Hand items over, and go on."""
        self._begun += [self._pool.submit(_apply, item) for item in items]

    def results(self) -> Iterator[Any]:
        """Yield the results of all items that were handed over since, in order, each as soon as it is there."""
        begun, self._begun = self._begun, []
        try:
            for future in begun:
                yield future.result()
        except BrokenProcessPool:
            raise UserError(
                "A process that worked beside this one was killed, most likely because memory ran out; run the same "
                "command again, with more memory."
            ) from None

    def close(self) -> None:
        """End the process at once; what it has not finished is left undone."""
        processes = list((getattr(self._pool, "_processes", None) or {}).values())
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()


def _pool(workers: int, function: Callable[[Any], Any]) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, _context(), _take, (function, dict(os.environ)))


def _context() -> BaseContext:
    """Return how processes start: never as forks of this one, since torch has threads.

    They are forks of a small server that has imported what this process has of the package when its first worker
    starts, and has done nothing else: what takes each spawned process seconds is done once, and held in memory once.
    """
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload([name for name in sys.modules if name.split(".")[0] == __name__.split(".")[0]])
    return context


def _take(function: Callable[[Any], Any], environment: dict[str, str]) -> None:
    """Set up a worker process: keep the function it applies, and end it with the process that started it.

    The environment is that of now; the server has it from when it started.
    """
    global _function
    _function = function
    os.environ.clear()
    os.environ.update(environment)
    use_one_thread()
    end_with_parent()


def use_one_thread() -> None:
    """Let numpy's products of matrices work in one thread from now on: workers share the cores, and would wait.

    Their results do not depend on it. Those of registration and convolutions may, so these are left alone.
    """
    from threadpoolctl import threadpool_limits

    threadpool_limits(1, user_api="blas")


def end_with_parent() -> None:
    """End this worker process, which releases its locks, as soon as the process that wanted it is gone."""
    threading.Thread(target=_end_with, args=(parent_process(), os.getppid()), daemon=True).start()


def _end_with(starter: Any, parent: int) -> None:
    while os.getppid() == parent and starter.is_alive() and _runs(starter.pid):  # else it would wait for work forever
        time.sleep(1)
    os._exit(1)


def _runs(process: int) -> bool:
    """Tell whether there is such a process, for forks of the one that is gone may hold what tells that it is alive."""
    if os.name == "posix":
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
    return True


def _apply(item: Any) -> Any:
    return _function(item)


_function: Callable[[Any], Any]
