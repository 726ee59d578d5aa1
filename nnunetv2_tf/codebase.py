"""Which code is running: the package's version and, in a git checkout, the commit and what was changed since."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from nnunetv2_tf import __version__
from nnunetv2_tf.records import from_json, to_json
from nnunetv2_tf.work import read_json, write_json

FILE = "tf_code.json"  # in a fold's result folder
CHECKOUT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Codebase:
    """The code that made a result."""

    version: str
    commit: str | None  # None: installed, not a checkout
    changed: tuple[str, ...]  # files that differ from the commit, or are not in it

    @property
    def clean(self) -> bool:
        """Whether somebody else can get the very same code."""
        return not self.changed


def codebase(checkout: Path = CHECKOUT) -> Codebase:
    """Looks at the folder the package lies in."""
    if not (checkout / ".git").exists():
        return Codebase(__version__, None, ())
    commit = _git(checkout, "rev-parse", "HEAD")
    if commit is None:
        return Codebase(__version__, None, ())
    status = _git(checkout, "status", "--porcelain") or ""
    return Codebase(__version__, commit.strip(), tuple(line[3:] for line in status.splitlines()))


def note_codebase(folder: Path, continued: bool) -> None:
    """Adds the code that is running to the list of those that trained the model in a fold's result folder."""
    entries = noted_codebases(folder) if continued else []
    now = codebase()
    if now not in entries:
        entries.append(now)
    write_json(folder / FILE, [to_json(entry) for entry in entries])


def noted_codebases(folder: Path) -> list[Codebase]:
    """The code that trained the model in a fold's result folder; empty where nobody noted it."""
    path = folder / FILE
    if not path.exists():
        return []
    return [from_json(Codebase, entry) for entry in read_json(path, "train this model anew.")]


def _git(checkout: Path, *arguments: str) -> str | None:
    """What git says; None where there is no git, or it refuses."""
    try:
        done = subprocess.run(["git", "-C", str(checkout), *arguments], capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None
