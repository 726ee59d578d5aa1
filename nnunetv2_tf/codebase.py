"""Which code is running: the package's version and, in a git checkout, the commit and what was changed since."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunetv2_tf import __version__
from nnunetv2_tf.errors import UserError
from nnunetv2_tf.records import checked, to_json
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
        """Whether nothing is known to differ from the commit."""
        return not self.changed

    def __str__(self) -> str:
        return (self.commit or f"version {self.version}") + ("" if self.clean else "+changes")


def codebase(checkout: Path = CHECKOUT) -> Codebase:
    """Looks at the folder the package lies in."""
    if not (checkout / ".git").exists():
        return Codebase(__version__, None, ())
    commit, status = _git(checkout, "rev-parse", "HEAD"), _git(checkout, "status", "--porcelain")
    if commit is None or status is None:
        return Codebase(__version__, None, ("nobody knows what: git is missing or refuses to speak of this checkout",))
    return Codebase(__version__, commit.strip(), tuple(line[3:] for line in status.splitlines()))


def write_codebases(entries: Sequence[Codebase], folder: Path) -> None:
    """Notes the code that trained the finished model in a fold's result folder."""
    write_json(folder / FILE, [to_json(entry) for entry in entries])


def read_codebases(folder: Path) -> list[Codebase]:
    """The code that trained the model in a fold's result folder; empty where nobody noted it."""
    path, cure = folder / FILE, "train this model anew."
    if not path.exists():
        return []
    entries = read_json(path, cure)
    if not isinstance(entries, list):
        raise UserError(f"{path} must hold a list; {cure}")
    return [checked(Codebase, entry, path, cure) for entry in entries]


def _git(checkout: Path, *arguments: str) -> str | None:
    """What git says; None where there is no git, or it refuses."""
    try:
        done = subprocess.run(
            ["git", "-C", str(checkout), *arguments], capture_output=True, encoding="utf-8", errors="replace"
        )
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None
