"""What a finished file is like. In: files. Out: size and digest, and whether files still are what they were.

A file counts as done by these, never by being there: a full disk or a power cut can leave files of the right name.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nnunetv2_tf.io.digests import file_digest


@dataclass(frozen=True)
class Written:
    """A file as it was written."""

    size: int  # bytes
    sha256: str

    @classmethod
    def of(cls, path: Path) -> "Written":
        """Read a file as it is now."""
        return cls(path.stat().st_size, file_digest(path))


Record = Mapping[str, Written]  # by path below some folder


def record_of(folder: Path, paths: Iterable[Path]) -> Record:
    """Return what files below a folder are like."""
    return {path.relative_to(folder).as_posix(): Written.of(path) for path in paths}


def are_whole(folder: Path, record: Record, by_digest: bool = True) -> bool:
    """Return whether all files are there and as they were; without `by_digest` their sizes suffice, which is quick."""
    for name, written in record.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != written.size:
            return False
        if by_digest and file_digest(path) != written.sha256:
            return False
    return True
