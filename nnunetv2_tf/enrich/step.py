"""One step of an enrichment: a command, what it works on, and how it is done anew."""

import datetime
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunetv2_tf.enrich.inputs import Inputs
from nnunetv2_tf.synthesis.fitting import DONE


def nothing() -> Inputs:
    """Return no inputs."""
    return {}


def leave(_: Sequence[str]) -> None:
    """Leave what is there: the command itself replaces it."""


@dataclass(frozen=True)
class Step:
    """One command, or what it leaves."""

    title: str
    key: str  # by which it is remembered; steps that several sets share have one
    command: tuple[str, ...]  # goes on where it was stopped
    finished: Callable[[], bool]
    inputs: Callable[[], Inputs]  # besides those of the steps that it needs; of what is there by now
    needs: tuple[str, ...] = ()  # keys of steps before it
    told: Callable[[], Inputs] = nothing  # what is there says of its own inputs, whoever made it
    clear: Callable[[Sequence[str]], None] = leave  # makes room for doing it anew, given what has changed
    stuck: str = ""  # why it cannot be done anew by itself
    remembered_only: bool = False  # counts as done only if it was done from here
    accepted: tuple[int, ...] = (0,)  # exit codes of commands that did what they could
    lock: Path | None = None  # to hold besides


def put_aside(folder: Path) -> None:
    """Rename the folder of a training: hours of work are not deleted."""
    if folder.exists():
        aside = folder.with_name(f".{folder.name}_until_{datetime.datetime.now():%Y_%m_%d_%H_%M_%S}")
        folder.rename(aside)
        print(f"(the old one is kept in {aside}) ", end="", flush=True)


def delete_fit(folder: Path) -> None:
    """Delete the folder of a fit, as --overwrite does."""
    (folder / DONE).unlink(missing_ok=True)  # first, so that a kill leaves nothing that looks finished
    shutil.rmtree(folder, ignore_errors=True)
