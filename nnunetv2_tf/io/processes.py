"""Processes of this machine, and this one's environment. In: a process's number. Out: whether it runs."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def runs(process: int) -> bool:
    """Tell whether a process runs; True where that cannot be known. One that was killed and not collected does not."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return stat_of(process)[:1] != ["Z"]


def process_numbers() -> str:
    """Return what tells this machine's numbers of processes from those of a container with the same host name."""
    with suppress(OSError):
        return re.sub(r"\D", "", os.readlink("/proc/self/ns/pid"))
    return "0"


def stat_of(process: int) -> list[str]:
    """Return what Linux says of a process in /proc, from its state on; empty where there is none."""
    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return []


@contextmanager
def variable_set(name: str, value: str) -> Iterator[None]:
    """Set a variable of this process's environment for a while."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name) if before is None else os.environ.update({name: before})
