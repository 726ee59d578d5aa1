"""One step of an enrichment: a command, what it works on, and how it is done anew."""

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunetv2_tf.benchmark.running import LOCK
from nnunetv2_tf.enrich.inputs import Inputs
from nnunetv2_tf.io.files import locked, remove_at_once
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.synthesis.fitting import lock_of_fit


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
    stuck: Callable[[], str] = str  # why it cannot be done anew by itself; empty: it can
    remembered_only: bool = False  # counts as done only if it was done from here
    at_once: bool = False  # appears whole or not at all: what is there was finished
    cleared: bool = False  # has room made for it before it begins: what is finished there then came of what was begun
    renewed: bool = False  # takes so little that nobody is asked before it is done anew
    accepted: tuple[int, ...] = (0,)  # exit codes of commands that did what they could
    lock: Path | None = None  # to hold besides


def put_aside(folder: Path) -> None:
    """Rename the folder of a training that nobody is at: hours of work are not deleted."""
    if folder.exists():
        aside = folder.with_name(f".{folder.name}_until_{datetime.datetime.now():%Y_%m_%d_%H_%M_%S}")
        with locked(folder / LOCK, f"the training in {folder}"):
            folder.rename(aside)
        (aside / LOCK).unlink(missing_ok=True)
        print(f"(the old one is kept in {aside}) ", end="", flush=True)


def delete_fit(folder: Path) -> None:
    """Delete the folder of a fit, as --overwrite does."""
    with lock_of_fit(folder, f"the fit in {folder}"):
        remove_at_once(folder)


def delete_part(part: SetPart) -> None:
    """Delete a part of a set that nobody is making."""
    with part.lock:
        part.remove()
