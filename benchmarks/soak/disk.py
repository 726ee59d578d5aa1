"""Disks in memory that are full, or that nothing can be written to. In: a folder. Out: a tmpfs there; needs root."""

import os
import shutil
import subprocess
from pathlib import Path


class Disk:
    """A tmpfs at a folder."""

    def __init__(self, root: Path, size: int) -> None:
        self.root, self.size = root, size

    def __enter__(self) -> "Disk":
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.size}", "tmpfs", str(self.root)], check=True)
        return self

    def __exit__(self, *_: object) -> None:
        os.chdir("/")
        subprocess.run(["umount", str(self.root)], check=True)

    def resize(self, size: int) -> None:
        """Give it so many bytes."""
        subprocess.run(["mount", "-o", f"remount,size={-(-size // 4096) * 4096}", str(self.root)], check=True)

    def read_only(self, wanted: bool) -> None:
        """Allow nothing to be written, or all again."""
        subprocess.run(["mount", "-o", f"remount,{'ro' if wanted else 'rw'}", str(self.root)], check=True)


def bytes_in(folder: Path) -> int:
    """Return how large the files of a folder are."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def used(folder: Path) -> int:
    """Return how much of a disk is used."""
    disk = os.statvfs(folder)
    return (disk.f_blocks - disk.f_bfree) * disk.f_frsize
