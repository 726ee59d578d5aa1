"""Finds healthy scans in the layouts they come in. In: a folder and the channels wanted. Out: one scan per subject.

A subject's second session or repetition would count as another person, so each gives one scan: the first session, the
first run, unless another session is asked for.
"""

import csv
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nnunetv2_tf.errors import UserError

Layout = Literal["auto", "ixi", "ppmi", "bids", "folder"]
ALIASES = {  # what sources call the modality that a channel is called after; compared without case, - and _
    "t1n": ("t1n", "t1", "t1w", "mprage", "spgr", "t1native"),
    "t1c": ("t1c", "t1ce", "t1gd", "t1post", "t1wgd"),
    "t2w": ("t2w", "t2"),
    "t2f": ("t2f", "flair", "t2flair"),
    "pdw": ("pdw", "pd"),
}


@dataclass(frozen=True)
class Scan:
    """One healthy person's images: a NIfTI file, or a folder with one DICOM series, per channel."""

    case: str
    images: tuple[Path, ...]


@dataclass(frozen=True)
class Search:
    """What a user asks for."""

    folder: Path
    layout: Layout
    channels: tuple[str, ...]  # the reference's channel names
    called: Mapping[str, str]  # -channels: what the source calls a channel
    globs: Mapping[str, str]  # -glob: per channel, for layout folder
    session: str | None = None  # of BIDS; None: each subject's first
    where: tuple[str, str] | None = None  # column and value of participants.tsv

    def names(self, channel: str) -> set[str]:
        """All a source may call a channel."""
        if channel in self.called:
            return {_plain(self.called[channel])}
        known = next((aliases for aliases in ALIASES.values() if _plain(channel) in map(_plain, aliases)), ())
        return {_plain(channel), *map(_plain, known)}

    def channel_of(self, name: str) -> str | None:
        """The channel for which a source's name of a modality stands."""
        return next((channel for channel in self.channels if _plain(name) in self.names(channel)), None)


def find_scans(search: Search) -> tuple[list[Scan], dict[str, str]]:
    """The complete scans by name, and why others cannot be used: {case: sentence}."""
    if not search.folder.is_dir():
        raise UserError(f"{search.folder} does not exist or is no folder; give the folder that holds the scans.")
    strangers = sorted(set(search.called) - set(search.channels))
    if strangers:
        raise UserError(f"-channels names {strangers[0]}, and the reference has {', '.join(search.channels)}.")
    layout = infer_layout(search) if search.layout == "auto" else search.layout
    found: dict[str, dict[str, Path]] = defaultdict(dict)
    for case, channel, path in _FINDERS[layout](search):
        found[case].setdefault(channel, path)
    if not found:
        raise UserError(
            f"{search.folder} holds no scan in layout {layout} with {' or '.join(search.channels)}; choose another "
            "-layout, or name the channels as this source calls them with -channels (t1n=T1w)."
        )
    scans, reasons = [], {}
    for case, images in sorted(found.items()):
        missing = [channel for channel in search.channels if channel not in images]
        if missing:
            reasons[case] = f"it has no {' and no '.join(missing)}"
        else:
            scans.append(Scan(case, tuple(images[channel] for channel in search.channels)))
    return scans, reasons


def infer_layout(search: Search) -> Layout:
    """The layout whose names a folder's files have."""
    if search.globs:
        return "folder"
    for path in _files(search.folder):
        if re.fullmatch(_BIDS, path.name):
            return "bids"
        if re.fullmatch(_IXI, path.name):
            return "ixi"
        if re.fullmatch(_PPMI, path.name) or path.suffix.lower() == ".dcm":
            return "ppmi"
    raise UserError(
        f"{search.folder} is in no layout that tells itself (IXI, PPMI, BIDS); use -layout folder with one -glob per "
        "channel: -glob t1n='*_T1.nii.gz'."
    )


_IXI = r"(?P<subject>IXI\d+)-(?P<site>\w+)-(?P<number>\w+)-(?P<modality>[A-Za-z0-9]+)\.nii(\.gz)?"
_BIDS = (
    r"sub-(?P<subject>[A-Za-z0-9]+)(_ses-(?P<session>[A-Za-z0-9]+))?(?P<entities>(_[a-z]+-[A-Za-z0-9]+)*)"
    r"_(?P<suffix>[A-Za-z0-9]+)\.nii(\.gz)?"
)
_PPMI = r"PPMI_(?P<subject>\d+)_MR_(?P<description>.+?)_+(Br|br)_.+\.nii(\.gz)?"
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}_.*")


def _ixi(search: Search) -> Iterator[tuple[str, str, Path]]:
    for path in _files(search.folder):
        match = re.fullmatch(_IXI, path.name)
        channel = search.channel_of(match["modality"]) if match else None
        if match and channel:
            yield match["subject"], channel, path


def _bids(search: Search) -> Iterator[tuple[str, str, Path]]:
    wanted = _participants(search)
    found: dict[str, dict[str, list[tuple[str, Path]]]] = defaultdict(lambda: defaultdict(list))
    for path in _files(search.folder):
        match = re.fullmatch(_BIDS, path.name)
        if match is None or "derivatives" in path.relative_to(search.folder).parts:
            continue
        if wanted is not None and f"sub-{match['subject']}" not in wanted:
            continue
        contrast = "_ce-" in match["entities"]
        channel = search.channel_of("t1c" if contrast and match["suffix"] == "T1w" else match["suffix"])
        if channel:
            found[f"sub-{match['subject']}"][match["session"] or ""].append((channel, path))
    for case, sessions in found.items():
        session = search.session.removeprefix("ses-") if search.session else min(sessions)
        yield from ((case, channel, path) for channel, path in sorted(sessions.get(session, [])))


def _participants(search: Search) -> set[str] | None:
    """The subjects that -where allows; None for all."""
    if search.where is None:
        return None
    column, value = search.where
    path = search.folder / "participants.tsv"
    if not path.is_file():
        raise UserError(f"{path} does not exist, and -where {column}={value} asks for it; leave -where out.")
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    if not rows or column not in rows[0] or "participant_id" not in rows[0]:
        known = ", ".join(rows[0]) if rows else "nothing"
        raise UserError(f"{path} has no column {column} beside participant_id (it has {known}); correct -where.")
    allowed = {row["participant_id"] for row in rows if row[column] == value}
    if not allowed:
        raise UserError(f"{path}: nobody's {column} is {value}; correct -where.")
    return allowed


def _ppmi(search: Search) -> Iterator[tuple[str, str, Path]]:
    """Trees as they are downloaded (subject/description/date/image/*.dcm), and NIfTI exports; earliest date first."""
    found: list[tuple[str, str, str, Path]] = []
    for path in _files(search.folder):
        match = re.fullmatch(_PPMI, path.name)
        if match:
            found.append((match["subject"], match["description"], _date_in(path), path))
        elif path.suffix.lower() == ".dcm" and len(path.relative_to(search.folder).parts) >= 5:
            subject, description = path.parts[-5], path.parts[-4]
            found.append((subject, description, _date_in(path), path.parent))
    for subject, description, _, path in sorted(set(found), key=lambda entry: (entry[0], entry[2], str(entry[3]))):
        channel = _described(description, search)
        if channel:
            yield f"PPMI_{subject}", channel, path


def _date_in(path: Path) -> str:
    return next((part for part in path.parts if _DATE.fullmatch(part)), "")


def _described(description: str, search: Search) -> str | None:
    """The channel of a series by its description, in which a modality is a word or the beginning of one."""
    text = _plain(description)
    matches = [(len(name), channel) for channel in search.channels for name in search.names(channel) if name in text]
    if "flair" in text:
        matches = [(length, channel) for length, channel in matches if "flair" in search.names(channel)]
    return max(matches)[1] if matches else None


def _folder(search: Search) -> Iterator[tuple[str, str, Path]]:
    missing = [channel for channel in search.channels if channel not in search.globs]
    if missing:
        raise UserError(f"-layout folder needs a pattern for {missing[0]}: -glob {missing[0]}='*_{missing[0]}.nii.gz'.")
    for channel in search.channels:
        glob = search.globs[channel]
        if "*" not in glob:
            raise UserError(f"-glob {channel}={glob} has no *, and what * stands for names the cases.")
        pattern = re.compile("(.*)".join(re.escape(part) for part in glob.split("*")))
        for path in sorted(search.folder.glob(glob)):
            match = pattern.fullmatch(path.relative_to(search.folder).as_posix())
            if match:
                yield re.sub(r"[^A-Za-z0-9\-]+", "_", "_".join(match.groups())).strip("_"), channel, path


_FINDERS: dict[str, Callable[[Search], Iterator[tuple[str, str, Path]]]] = {
    "ixi": _ixi, "bids": _bids, "ppmi": _ppmi, "folder": _folder,
}  # fmt: skip


def _files(folder: Path) -> Iterator[Path]:
    """All files below a folder, links followed, in the order of their names."""
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders.sort()
        yield from (Path(parent) / name for name in sorted(names) if not name.startswith("."))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
