"""What a benchmark runs. In: nothing. Out: what a training, a fit and a postprocessing have in common."""

from pathlib import Path
from typing import Protocol


class Job(Protocol):
    """Something that takes long and leaves a folder: a training, a fit, a postprocessing."""

    @property
    def kind(self) -> str:
        """What it is, in a word."""
        ...

    @property
    def key(self) -> str:
        """Its name in logs and files."""
        ...

    @property
    def folder(self) -> Path:
        """Where it leaves what it makes."""
        ...

    @property
    def state(self) -> str:
        """`done`, `begun` or `missing`."""
        ...

    @property
    def making_lock(self) -> Path:
        """The lock to hold while what it shares with other jobs is made."""
        ...

    @property
    def makes(self) -> str:
        """What that is."""
        ...

    def prepare(self) -> None:
        """Do what comes before its commands and takes no time."""

    def commands(self, device: str) -> list[list[str]]:
        """Return its commands in order, the main one last; each makes only what is missing."""
        ...
