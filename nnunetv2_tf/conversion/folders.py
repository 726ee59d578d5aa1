"""Other people's folders. In: a folder that a user names. Out: its files, and the folders in which nothing is used."""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

SCANS = (".nii", ".nii.gz", ".dcm", ".mgz", ".mha", ".mhd", ".nrrd", ".img")
PASSED_OVER = "passed_over.json"  # in a converted dataset: the folders, if there are any
SHOWN = 10


def files_below(folder: Path) -> Iterator[Path]:
    """Return all files below a folder, links followed, no folder twice, in the order of their names."""
    seen: set[Path] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = Path(parent).resolve()
        folders[:] = [] if real in seen else sorted(name for name in folders if not name.startswith("."))
        if real not in seen:
            yield from (Path(parent) / name for name in sorted(names) if not name.startswith("."))
        seen.add(real)


def passed_over(folder: Path, used: Iterable[Path]) -> list[Path]:
    """Return the topmost folders below one that hold scans, and none that is used.

    Args:
        folder: as the user names it
        used: files, or folders with a DICOM series
    """
    open_folders = {folder, *used}
    for path in tuple(open_folders):
        open_folders.update(path.parents)
    passed = set()
    for parent in {path.parent for path in files_below(folder) if path.name.lower().endswith(SCANS)} - open_folders:
        topmost = parent
        while topmost.parent not in open_folders:
            topmost = topmost.parent
        passed.add(topmost)
    return sorted(passed)


def listing(folders: Sequence[Path]) -> str:
    """Return a line for each folder, or for those that are called alike, ten at most."""
    by_name: dict[str, list[Path]] = defaultdict(list)
    for folder in folders:
        by_name[folder.name].append(folder)
    lines = [
        f"  {paths[0]}" if len(paths) == 1 else f"  {name}: {len(paths)} folders, first {paths[0]}"
        for name, paths in by_name.items()
    ]
    more = [f"  and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return "\n".join([*lines[:SHOWN], *more])
