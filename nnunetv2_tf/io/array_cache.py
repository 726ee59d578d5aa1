"""Arrays that take long to compute, kept on disk. In: how to compute them, what they depend on. Out: the arrays.

Whatever happens to the folder, results are the same: what is missing, damaged or out of date is computed anew. When it
is full, what is there stays, but for what nobody has asked for in a month: the cases of a set ask for theirs in turn,
so that what was asked for the longest ago would be what is asked for next.
"""

import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nnunetv2_tf.io.array_files import Arrays, read_arrays, write_arrays

ENDING = ".kept"
GIGABYTE = 1e9
HOUR, MONTH = 3600.0, 30 * 24 * 3600.0  # seconds
_said: set[Path] = set()


@dataclass(frozen=True)
class ArrayCache:
    """A folder of arrays by name."""

    folder: Path
    most_gb: float  # entries are added up to here; 0: nothing is kept, or read

    def get(self, name: str, source: str, compute: Callable[[], Arrays]) -> Arrays:
        """Return arrays that were computed from a source before, else compute and keep them.

        Args:
            name: of the entry; a new source replaces what was kept by this name
            source: digest of all that they depend on
            compute: computes them
        """
        if self.most_gb <= 0:
            return compute()
        path = self.folder / f"{name}{ENDING}"
        known = read_arrays(path, source)
        if known is not None:
            with suppress(OSError):  # read-only, or deleted by another process just now
                os.utime(path)
            return known
        arrays = compute()
        if self._is_full():
            self._say_once(f"it holds {self.most_gb:g} GB")
            return arrays
        try:
            write_arrays(path, arrays, source)
        except OSError as error:
            self._say_once(str(error.strerror or error))
        return arrays

    def _say_once(self, reason: str) -> None:
        if self.folder not in _said:
            _said.add(self.folder)
            print(f"Nothing more is kept in {self.folder} ({reason}); going on without.", flush=True)

    def _is_full(self) -> bool:
        """Tell whether there is no room for another entry; delete what is old before."""
        if self.most_gb == float("inf"):
            return False
        kept, limit = entries(self.folder), self.most_gb * GIGABYTE
        total = sum(size for size, _ in kept.values())
        for path, (size, asked) in kept.items() if total >= limit else ():
            if time.time() - asked > MONTH:
                path.unlink(missing_ok=True)
                total -= size
        return total >= limit


def clear(folder: Path) -> int:
    """Delete a folder of kept arrays, or of such folders; return how many bytes that freed."""
    freed = sum(size for size, _ in entries(folder).values())
    shutil.rmtree(folder, ignore_errors=True)
    return freed


def entries(folder: Path) -> dict[Path, tuple[int, float]]:
    """Return each entry's size and when it was asked for; delete what killed processes left half-written long ago."""
    found = {}
    for path in folder.rglob("*"):
        with suppress(OSError):  # another process may have deleted it just now
            stat = path.stat()
            if path.suffix == ENDING:
                found[path] = stat.st_size, stat.st_mtime
            elif path.suffix == ".tmp" and time.time() - stat.st_mtime > HOUR:
                path.unlink()
    return found
