"""The layouts in which collections of healthy scans come: IXI, PPMI, BIDS, or any folder with patterns.

In: a folder and what is looked for. Out: every file that may be a channel of somebody, best first for each session.
"""

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

from nnunetv2_tf.conversion.folders import files_below
from nnunetv2_tf.dataset.modalities import known_names, plain
from nnunetv2_tf.io.errors import UserError

Layout = Literal["auto", "ixi", "ppmi", "bids", "folder"]
ENHANCED = {"c+", "+c", "ce", "gd", "gad", "gado", "post", "postcontrast", "contrast"}
NOT_ENHANCED = {"flair", "no", "non", "pd", "pre", "t2", "without", "wo"}  # beside one of these it means nothing
NO_ANATOMY = {
    "adc", "asl", "bold", "calibration", "dti", "dwi", "fa", "fmri", "loc", "localiser", "localizer", "map", "mra",
    "mt", "nm", "rsfmri", "scout", "survey", "swi", "t2star",
}  # fmt: skip
VOLUMES = {"3d", "bravo", "mpr", "mprage", "spgr", "tfe"}  # whole heads in thin slices
PLANES = {"ax", "axial", "cor", "coronal", "tra", "transverse"}  # thick slices, or cut from a volume
EVERY_CHANNEL = "A healthy scan needs every channel of the labelled dataset."


@dataclass(frozen=True)
class Search:
    """Which scans a user asks for."""

    folders: tuple[Path, ...]
    layout: Layout
    channels: tuple[str, ...]  # the reference's channel names
    called: Mapping[str, tuple[str, ...]]  # -channels: what the sources call a channel
    globs: Mapping[str, str]  # -glob: per channel, for layout folder
    session: str | None = None  # of BIDS; None: each person's first
    where: tuple[str, str] | None = None  # column and value of a table of people
    subjects: tuple[str, ...] | None = None  # only these people

    def names(self, channel: str) -> set[str]:
        """Return all names that a source may have for a channel."""
        if channel in self.called:
            return set(map(plain, self.called[channel]))
        return known_names(channel)

    def channel_of(self, name: str) -> str | None:
        """Return the channel for which a source's name of a modality stands; None when it stands for none."""
        return next((channel for channel in self.channels if plain(name) in self.names(channel)), None)


@dataclass(frozen=True)
class ScanFile:
    """A file, or a folder with a DICOM series, that is one channel of one person in one session."""

    subject: str  # as the source names the person
    session: str  # earlier ones come first by name
    channel: str
    path: Path
    rank: int = 0  # of several in one session the least is taken


def infer_layout(search: Search, folder: Path) -> Layout:
    """Return the layout whose names a folder's files have."""
    dicom = False
    for path in files_below(folder):
        if _NOT_RAW & set(path.relative_to(folder).parts):
            continue
        if re.fullmatch(_BIDS, path.name):
            return "bids"
        if re.fullmatch(_IXI, path.name):
            return "ixi"
        if re.fullmatch(_PPMI, path.name):
            return "ppmi"
        dicom = dicom or path.suffix.lower() == ".dcm"
    if search.globs:
        return "folder"
    if dicom:
        return "ppmi"
    raise UserError(
        f"{folder} is in no layout that tells itself (IXI, PPMI, BIDS); use -layout folder with one -glob per "
        "channel: -glob t1n='*_T1.nii.gz'."
    )


_IXI = r"(?P<subject>IXI\d+)-(?P<site>\w+)-(?P<number>\w+)-(?P<modality>[A-Za-z0-9]+)\.nii(\.gz)?"
_BIDS = (
    r"sub-(?P<subject>[A-Za-z0-9]+)(_ses-(?P<session>[A-Za-z0-9]+))?(?P<entities>(_[a-z]+-[A-Za-z0-9]+)*)"
    r"_(?P<suffix>[A-Za-z0-9]+)\.nii(\.gz)?"
)
_NOT_RAW = {"sourcedata", "derivatives", "code"}  # of a BIDS folder
_PPMI = r"PPMI_(?P<subject>\d+)_MR_(?P<description>.+?)_+(Br|br)_.+\.nii(\.gz)?"
_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})_.*|.*_br_raw_(\d{8}).*", re.IGNORECASE)


def _ixi(search: Search, folder: Path) -> Iterator[ScanFile]:
    for path in files_below(folder):
        match = re.fullmatch(_IXI, path.name)
        channel = search.channel_of(match["modality"]) if match else None
        if match and channel:
            yield ScanFile(match["subject"], "", channel, path)


def _bids(search: Search, folder: Path) -> Iterator[ScanFile]:
    wanted = _people(search, [folder / "participants.tsv"], "participant_id", "\t")
    for path in files_below(folder):
        match = re.fullmatch(_BIDS, path.name)
        if match is None or _NOT_RAW & set(path.relative_to(folder).parts):
            continue
        if wanted is not None and match["subject"] not in wanted:
            continue
        if search.session and (match["session"] or "") != search.session.removeprefix("ses-"):
            continue
        contrast = "_ce-" in match["entities"]
        channel = search.channel_of("t1c" if contrast and match["suffix"] == "T1w" else match["suffix"])
        if channel:
            yield ScanFile(f"sub-{match['subject']}", match["session"] or "", channel, path)


def _ppmi(search: Search, folder: Path) -> Iterator[ScanFile]:
    """Find series in trees as they are downloaded (subject/description/date/image/*.dcm), and in NIfTI exports."""
    wanted = _people(search, sorted(folder.glob("*.csv")), "Subject", ",")
    series: dict[Path, tuple[str, str]] = {}
    for path in files_below(folder):
        match = re.fullmatch(_PPMI, path.name)
        if match:
            series[path] = match["subject"], match["description"]
        elif path.suffix.lower() == ".dcm" and len(path.relative_to(folder).parts) >= 5:
            series[path.parent] = path.parts[-5], path.parts[-4]
    for path, (subject, description) in series.items():
        if wanted is not None and subject not in wanted:
            continue
        rank, channels = _described(description, search)
        dates = (_DATE.fullmatch(part) for part in path.relative_to(folder).parts)
        date = next(((match[1] or match[2]).replace("-", "") for match in dates if match), "")
        yield from (ScanFile(f"PPMI_{subject}", date, channel, path, rank) for channel in channels)


def _described(description: str, search: Search) -> tuple[int, list[str]]:
    """Return rank and channels of a series by its description, in which modalities are words; two of a dual echo."""
    words = [word for word in re.split(r"[^a-z0-9+]+", description.lower().replace("t2*", "t2star")) if word]
    enhanced = bool(ENHANCED & set(words))
    if NO_ANATOMY & set(words) or (enhanced and NOT_ENHANCED & set(words)):
        return 0, []
    phrases = {*words, *(word + following for word, following in pairwise(words))}
    phrases |= {volume for volume in VOLUMES for word in words if volume in word}  # 3DMPRAGE, FSPGR
    flair = any("flair" in word for word in words)
    if flair and {"t1", "t1w"} & set(words):
        return 0, []
    channels = []
    for channel in search.channels:
        names = search.names(channel)
        if "t1ce" in names if enhanced else names & phrases and flair is ("flair" in names):
            channels.append(channel)
    return (0 if VOLUMES & phrases else 1) + (2 if PLANES & set(words) else 0), channels


def _people(search: Search, tables: list[Path], key: str, delimiter: str) -> set[str] | None:
    """Return the people that -where allows, without sub-; None for all."""
    if search.where is None:
        return None
    column, value = search.where
    there = [table for table in tables if table.is_file()]
    if not there:
        wanted = tables[0] if tables else "a .csv file beside the scans"
        raise UserError(f"{wanted} does not exist, and -where {column}={value} asks for it; leave -where out.")
    rows: list[dict[str, str]] = []
    for table in there:
        with table.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            rows += csv.DictReader(file, delimiter=delimiter)
    rows = [row for row in rows if row.get(key)]
    if not rows or column not in rows[0]:
        known = ", ".join(rows[0]) if rows else "nothing"
        raise UserError(f"{there[0]} has no column {column} beside {key} (it has {known}); correct -where.")
    allowed = {row[key].strip().removeprefix("sub-") for row in rows if (row.get(column) or "").strip() == value}
    if not allowed:
        raise UserError(f"{there[0]}: nobody's {column} is {value}; correct -where.")
    return allowed


def _folder(search: Search, folder: Path) -> Iterator[ScanFile]:
    missing = [channel for channel in search.channels if channel not in search.globs]
    if missing:
        raise UserError(
            f"-layout folder needs a pattern for {missing[0]}: -glob {missing[0]}='*_{missing[0]}.nii.gz'. "
            f"{EVERY_CHANNEL}"
        )
    patterns = {channel: _compiled(channel, search.globs[channel]) for channel in search.channels}
    for path in files_below(folder):
        matches = {
            channel: pattern.fullmatch(path.relative_to(folder).as_posix()) for channel, pattern in patterns.items()
        }
        found = {channel: match for channel, match in matches.items() if match}
        if len(found) > 1:  # a network would learn that both look alike in healthy tissue
            raise UserError(f"{path} would be both {' and '.join(found)} by -glob; correct it. {EVERY_CHANNEL}")
        for channel, match in found.items():
            yield ScanFile("_".join(match.groups()), "", channel, path)


def _compiled(channel: str, glob: str) -> re.Pattern[str]:
    """Return -glob as a pattern: * stands for a part of a name and is kept, ** for folders, ? for one character."""
    if "*" not in glob.replace("**", ""):
        raise UserError(f"-glob {channel}={glob} has no *, and what * stands for names the cases.")
    if glob.startswith(("/", "~", "..")):
        raise UserError(f"-glob {channel}={glob} is seen from the folder of -i; leave that folder out of it.")
    means = {"**/": "(?:.*/)?", "*": "([^/]*)", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*|\?)", glob.removeprefix("./"))
    return re.compile("".join(means.get(part, re.escape(part)) for part in parts))


FINDERS: dict[str, Callable[[Search, Path], Iterator[ScanFile]]] = {
    "ixi": _ixi, "bids": _bids, "ppmi": _ppmi, "folder": _folder,
}  # fmt: skip
