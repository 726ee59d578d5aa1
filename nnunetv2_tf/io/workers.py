"""Worker processes: how they start, and how they end. In: a function. Out: a pool whose workers apply it to items."""

import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from multiprocessing.context import BaseContext
from typing import Any

from nnunetv2_tf.io.processes import runs, variable_set

DIED = (BrokenProcessPool, EOFError, ConnectionError)  # what tells that a worker was killed, or the server
LONGEST = 70  # bytes of the folder in which the server has its socket, whose whole path may have about 107


def worker_pool(workers: int, function: Callable[[Any], Any]) -> ProcessPoolExecutor:
    """Return a pool whose workers `apply` the function; it is sent to each of them once."""
    return ProcessPoolExecutor(workers, _context(), _take, (function, dict(os.environ)))


def apply(item: Any) -> Any:
    """Apply this worker's function."""
    return _function(item)


def _context() -> BaseContext:
    """Return how processes start: never as forks of this one, since torch has threads.

    On Linux they are forks of a server that has imported what this process has of the package when its first worker
    starts: what takes each spawned process seconds is done once. The server lives as long as this process.
    """
    if sys.platform != "linux" or sys.version_info < (3, 11) or len(os.fsencode(tempfile.gettempdir())) > LONGEST:
        return get_context("spawn")
    from multiprocessing.forkserver import ensure_running

    context = get_context("forkserver")
    package = __name__.partition(".")[0]
    context.set_forkserver_preload([name for name in list(sys.modules) if name.partition(".")[0] == package])
    try:
        with variable_set("PYTHONSAFEPATH", "1"):  # else the server would look for packages in the current folder first
            ensure_running()
    except OSError:  # no sockets in that folder
        return get_context("spawn")
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
    """Wait, and end: by the pipe to it, and by its number, since forks of one that is gone may hold the pipe."""
    while os.getppid() == parent and starter.is_alive() and runs(starter.pid):  # else it would wait for work forever
        time.sleep(1)
    os._exit(1)


_function: Callable[[Any], Any]
