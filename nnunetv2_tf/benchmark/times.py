"""How long commands took on this machine, for the next time. In: a command. Out: a line of a file, or seconds."""

import json
import os
import re
import socket
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median

from nnunetv2_tf.dataset.folders import nnunet_folder

PLACE = re.compile(r"Dataset\d+_[^/\\]+|__\w+__\w+")  # of a path: which dataset, by which plans
# options of a command that do not change how long a unit of it takes
VARYING = {"-s", "-seed", "-num_cases", "-tr", "-f"}


def times_file() -> Path:
    """Return where runs note how long commands took."""
    return nnunet_folder("nnUNet_results") / "tf_benchmark" / "times.jsonl"


def note_seconds(path: Path, command: Sequence[str], device: str, seconds: float) -> None:
    """Append how long a command took on this machine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    entry = {"host": socket.gethostname(), "kind": _kind(command, device), "units": units(command), "seconds": seconds}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def noted_seconds(command: Sequence[str], device: str) -> float | None:
    """Return the median of what earlier runs noted on this machine, for as many units as the command has."""
    path = times_file()
    if not path.exists():
        return None
    kind, host, seconds = _kind(command, device), socket.gethostname(), []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
            if (entry["kind"], entry["host"]) == (kind, host):
                seconds.append(entry["seconds"] / entry["units"])
        except (ValueError, KeyError, TypeError, ZeroDivisionError):  # a line that a kill cut off
            continue
    whole = [each for each in seconds if each > max(seconds) / 3]  # others found most of their work done
    return median(whole) * units(command) if whole else None


def _kind(command: Sequence[str], device: str) -> str:
    """Return what takes the same time each time: the command without names, seeds, counts and folders, and its fold."""
    kept = [
        "".join(PLACE.findall(word)) if os.sep in word else word
        for before, word in pairwise(["", *command])
        if not {before, word} & VARYING
    ]
    if len(kept) > 3 and kept[3].isdigit():
        del kept[3]  # the fold
    return " ".join([*kept, device])


def units(command: Sequence[str]) -> int:
    """Return how many cases a command makes; 1 where it makes none."""
    return int(command[list(command).index("-num_cases") + 1]) if "-num_cases" in command else 1
