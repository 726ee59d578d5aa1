"""What a finished file is like. In: files. Out: size and digest, and whether files still are what they were.

A file counts as done by these, never by being there: a full disk or a power cut can leave files of the right name.
"""

from collections.abc import Iterable, Mapping, Sequence
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


WrittenFiles = Mapping[str, Written]  # by path below some folder


def record_of(folder: Path, paths: Iterable[Path]) -> WrittenFiles:
    """Return what files below a folder are like."""
    return {path.relative_to(folder).as_posix(): Written.of(path) for path in paths}


def are_whole(folder: Path, paths: Sequence[Path], record: WrittenFiles, by_digest: bool = True) -> bool:
    """Return whether all files are there and as they were written.

    Args:
        folder: that the record is of
        paths: of the files
        record: of just these; an empty one is of before there were records, and they need only be there
        by_digest: read them; else their sizes suffice, which is quick
    """
    if not all(path.is_file() for path in paths):
        return False
    if not record:
        return True
    if {path.relative_to(folder).as_posix() for path in paths} != set(record):
        return False
    written = [(path, record[path.relative_to(folder).as_posix()]) for path in paths]
    if any(path.stat().st_size != entry.size for path, entry in written):
        return False
    return not by_digest or all(file_digest(path) == entry.sha256 for path, entry in written)
