"""Provenance of synthetic cases. In: JSON files. Out: the manifest of a set's part, the sidecar of a case; and back.

`schemas/*.schema.json` describes both for other programs; reading here checks the same things.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from nnunetv2_tf import __version__
from nnunetv2_tf.dataset.code_version import code_version
from nnunetv2_tf.io.arguments import Fold
from nnunetv2_tf.io.digests import digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import is_one_name, read_json, write_json
from nnunetv2_tf.io.json_dataclass import ONLY_IF_SET, checked, read_record, to_json
from nnunetv2_tf.io.written import Written

FORMAT = 1
CURE = "remove this part of the set (nnUNetv2_tf_sets --remove) and make it again."


@dataclass(frozen=True)
class Sidecar:
    """What one synthetic case was made from, and how."""

    case: str
    line: int | None  # of the recipe; None for foreign cases
    host: str | None
    donors: tuple[str, ...]
    ancestors: tuple[str, ...] | Literal["unknown"]  # real cases of the dataset; unknown: added with --trust
    geometry_ancestors: tuple[str, ...]  # cases that only shaped plans or the registration target
    reach_mm: float | None  # edits stay within this distance of the tumour map; None: anywhere in the organ
    sources: Mapping[str, str]  # digests of the raw files that went in; empty for foreign cases
    controls: Mapping[str, Any]
    seed: int | None
    versions: Mapping[str, str]
    # donors that are unlabelled scans, whose tumours a baseline has labelled
    pseudo_donors: tuple[str, ...] = field(default=(), metadata={ONLY_IF_SET: True})
    # unlabelled scans that it, or what made it, descends from, by dataset and name: their patients, as Groups tells
    unlabelled: Mapping[str, tuple[str, str]] = field(default_factory=dict, metadata={ONLY_IF_SET: True})
    # hash of the config.json of its set; None for foreign and for older cases
    config_hash: str | None = field(default=None, metadata={ONLY_IF_SET: True})
    # its files as they were written, by path below the part's folder; empty for foreign and for older cases
    files: Mapping[str, Written] = field(default_factory=dict, metadata={ONLY_IF_SET: True})

    def __post_init__(self) -> None:
        if self.ancestors != "unknown" and not set(self.donors) <= set(self.ancestors):
            raise ValueError(f"the donors of {self.case} must be among its ancestors")

    def write(self, path: Path) -> None:
        """Write the sidecar, whole or not at all."""
        write_json(path, to_json(self))

    @classmethod
    def read(cls, path: Path) -> "Sidecar":
        """Read a sidecar."""
        return read_record(cls, path, CURE)


@dataclass(frozen=True)
class CaseEntry:
    """One case in a manifest, with the hashes of its files."""

    case: str
    line: int | None
    accepted: bool
    image_sha256: tuple[str, ...]  # one per channel
    label_sha256: str

    def __post_init__(self) -> None:
        if not is_one_name(self.case):
            raise ValueError(f"{self.case!r} cannot be the name of a case")
        hashes = (*self.image_sha256, self.label_sha256)
        if not self.image_sha256 or not all(len(text) == 64 and set(text) <= _HEX for text in hashes):
            raise ValueError(f"the hashes of case {self.case} are not SHA-256")


@dataclass(frozen=True)
class BaselineUse:
    """The baseline (a trained nnU-Net) whose features a method was fitted by."""

    trainer: str
    plans: str
    configuration: str
    checkpoint_sha256: str


@dataclass(frozen=True)
class PseudoUse:
    """Unlabelled scans with tumours that a baseline has labelled."""

    dataset: str
    baseline: BaselineUse
    labels: str  # digest of what it labelled


@dataclass(frozen=True)
class Manifest:
    """The cases of one fold's part of a set, and what made them."""

    format: int
    set: str
    dataset: str
    fold: Fold
    method: str  # "foreign" for cases added from outside
    preset: str | None
    config_hash: str | None
    recipe_hash: str | None
    healthy: str | None
    baseline: BaselineUse | None
    versions: Mapping[str, str]
    cases: tuple[CaseEntry, ...]
    unlabelled: str | None = field(default=None, metadata={ONLY_IF_SET: True})  # scans that it learnt from, too
    pseudo_labels: PseudoUse | None = field(default=None, metadata={ONLY_IF_SET: True})  # donors besides real cases

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ValueError(f"this version of nnunetv2_tf reads format {FORMAT}, not {self.format}")
        if self.fold != "all" and (not isinstance(self.fold, int) or self.fold < 0):
            raise ValueError(f"Manifest.fold must be a number or 'all', not {self.fold!r}")
        if len({entry.case for entry in self.cases}) < len(self.cases):
            raise ValueError("a case is listed twice")

    @property
    def accepted(self) -> tuple[CaseEntry, ...]:
        """The cases a trainer may use, in the order of the set."""
        return tuple(entry for entry in self.cases if entry.accepted)

    def write(self, path: Path) -> None:
        """Write the manifest with a hash over all of it, whole or not at all."""
        content = to_json(self)
        write_json(path, {**content, "hash": digest(content)})

    @classmethod
    def read(cls, path: Path) -> "Manifest":
        """Read a manifest; refuse one that was changed by hand."""
        content = read_json(path, CURE)
        signature = content.pop("hash", None) if isinstance(content, dict) else None
        manifest = checked(cls, content, path, CURE)
        if signature != digest(content):
            raise UserError(f"{path} does not match its own hash, so it was changed by hand; {CURE}")
        return manifest


@cache
def versions() -> Mapping[str, str]:
    """Return the versions that decide what a case looks like, and the commit where it is known."""
    code = code_version()
    return {"nnunetv2_tf": __version__, "code": str(code), **code.packages}


_HEX = set("0123456789abcdef")
