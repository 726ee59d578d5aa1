"""The code that is running. In: its folder. Out: the version and, in a git checkout, the commit and changed files."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from nnunetv2_tf import __version__
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.io.json_dataclass import ONLY_IF_SET, checked, to_json

FILE = "tf_code.json"  # in a fold's result folder
PACKAGES = ("nnunetv2", "batchgeneratorsv2", "torch", "numpy")
CHECKOUT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class CodeVersion:
    """The code that made a result."""

    version: str
    commit: str | None  # None: installed, not a checkout
    changed: tuple[str, ...]  # files that differ from the commit, or are not in it
    # versions of what else a training's result depends on; empty in records of before they were noted
    packages: Mapping[str, str] = field(default_factory=dict, metadata={ONLY_IF_SET: True})

    @property
    def clean(self) -> bool:
        """Whether nothing is known to differ from the commit."""
        return not self.changed

    def __str__(self) -> str:
        return (self.commit or f"version {self.version}") + ("" if self.clean else "+changes")


def code_version(checkout: Path = CHECKOUT) -> CodeVersion:
    """Return the package's version and, where `checkout` is a git checkout, its commit and changed files."""
    if not (checkout / ".git").exists():
        return CodeVersion(__version__, None, (), packages())
    commit, status = _git(checkout, "rev-parse", "HEAD"), _git(checkout, "status", "--porcelain")
    if commit is None or status is None:
        return CodeVersion(
            __version__, None, ("nobody knows what: git is missing or refuses to speak of this checkout",), packages()
        )
    return CodeVersion(__version__, commit.strip(), tuple(line[3:] for line in status.splitlines()), packages())


def packages() -> dict[str, str]:
    """Return the versions of the packages that decide how a training comes out."""
    return {name: version(name) for name in PACKAGES}


def write_code_versions(entries: Sequence[CodeVersion], folder: Path) -> None:
    """Write into a fold's result folder which code trained the finished model."""
    write_json(folder / FILE, [to_json(entry) for entry in entries])


def read_code_versions(folder: Path) -> list[CodeVersion]:
    """Read from a fold's result folder which code trained the model; empty where that was not written."""
    path, cure = folder / FILE, "train this model anew."
    if not path.exists():
        return []
    entries = read_json(path, cure)
    if not isinstance(entries, list):
        raise UserError(f"{path} must hold a list; {cure}")
    return [checked(CodeVersion, entry, path, cure) for entry in entries]


def _git(checkout: Path, *arguments: str) -> str | None:
    """Return what git prints; None where git is missing or fails."""
    try:
        done = subprocess.run(
            ["git", "-C", str(checkout), *arguments], capture_output=True, encoding="utf-8", errors="replace"
        )
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None
