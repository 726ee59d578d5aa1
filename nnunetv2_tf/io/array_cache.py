"""Arrays that take long to compute, kept on disk. In: how to compute them, what they depend on. Out: the arrays.

Whatever happens to the folder, results are the same: what is missing, damaged or out of date is computed anew. The
folder never grows beyond its limit by more than an entry; what nobody has asked for the longest goes first.
"""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nnunetv2_tf.io.array_files import Arrays, read_arrays, write_arrays

ENDING = ".kept"
GIGABYTE = 1e9
FREED = 0.9  # of the limit is what remains when there was too much
_said: set[Path] = set()


@dataclass(frozen=True)
class ArrayCache:
    """A folder of arrays by name."""

    folder: Path
    most_gb: float  # 0: nothing is kept, or read

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
            _touch(path)
            return known
        arrays = compute()
        self._keep(path, arrays, source)
        return arrays

    def _keep(self, path: Path, arrays: Arrays, source: str) -> None:
        """Write an entry; where that is not possible say so, once, and go on without."""
        try:
            write_arrays(path, arrays, source)
            self._make_room()
        except OSError as error:
            if self.folder not in _said:
                _said.add(self.folder)
                print(
                    f"Nothing can be kept in {self.folder} ({error.strerror or error}); going on without.", flush=True
                )

    def _make_room(self) -> None:
        entries = [(entry.stat(), entry.path) for entry in os.scandir(self.folder) if entry.name.endswith(ENDING)]
        total = sum(stat.st_size for stat, _ in entries)
        if total <= self.most_gb * GIGABYTE:
            return
        for stat, path in sorted(entries, key=lambda entry: entry[0].st_mtime_ns):
            Path(path).unlink(missing_ok=True)
            total -= stat.st_size
            if total <= FREED * self.most_gb * GIGABYTE:
                return


def clear(folder: Path) -> int:
    """Delete a folder of kept arrays; return how many bytes that freed."""
    freed = sum(path.stat().st_size for path in folder.glob(f"*{ENDING}")) if folder.is_dir() else 0
    shutil.rmtree(folder, ignore_errors=True)
    return freed


def _touch(path: Path) -> None:
    """Note that an entry was asked for."""
    with suppress(OSError):  # read-only, or just deleted by another process
        os.utime(path)
