"""Finds healthy scans. In: folders and the channels wanted. Out: one scan per person.

A person's second session or repetition would count as another person, so each gives one scan: of the first session that
has all channels, unless another session is asked for.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nnunetv2_tf.dataset_conversion.cohorts import FINDERS, Found, Layout, Search, infer_layout
from nnunetv2_tf.errors import UserError

FLAGS = {"where": ("bids", "ppmi"), "session": ("bids",), "globs": ("folder",)}  # the layouts they mean something in


@dataclass(frozen=True)
class Scan:
    """One healthy person's images: a NIfTI file, or a folder with one DICOM series, per channel."""

    case: str
    images: tuple[Path, ...]
    collection: Path  # the folder it was found in


def find_scans(search: Search) -> tuple[list[Scan], dict[str, str]]:
    """The complete scans by name, and why others cannot be used: {case: sentence}."""
    strangers = sorted((set(search.called) | set(search.globs)) - set(search.channels))
    if strangers:
        raise UserError(
            f"-channels or -glob names {strangers[0]}, and the reference has {', '.join(search.channels)}; correct it."
        )
    scans: dict[str, Scan] = {}
    reasons: dict[str, str] = {}
    met: set[str] = set()
    for folder in search.folders:
        complete, incomplete, subjects = _in_folder(search, folder)
        for scan in complete:
            if scan.case in scans:
                both = f"{scans[scan.case].images[0]} and {scan.images[0]}"
                raise UserError(f"{both} would both be called {scan.case}; give one of their folders another name.")
            scans[scan.case] = scan
        reasons |= incomplete
        met |= subjects
    for name in sorted(set(map(_bare, search.subjects or ())) - met):
        reasons[name] = "it is listed in -subjects and not found"
    return [scans[case] for case in sorted(scans)], {case: reasons[case] for case in sorted(reasons)}


def _in_folder(search: Search, folder: Path) -> tuple[list[Scan], dict[str, str], set[str]]:
    """Complete scans, why others cannot be used, and the people that were wanted and met."""
    if not folder.is_dir():
        raise UserError(f"{folder} does not exist or is no folder; give the folder that holds the scans.")
    layout = infer_layout(search, folder) if search.layout == "auto" else search.layout
    for flag, layouts in FLAGS.items():
        if getattr(search, flag) and layout not in layouts:
            raise UserError(
                f"-{flag.removesuffix('s')} means nothing in {folder}, which has layout {layout}; leave it out, or "
                "name the people in a file with -subjects."
            )
    by_person: dict[str, list[Found]] = defaultdict(list)
    for found in FINDERS[layout](search, folder):
        by_person[found.subject].append(found)
    if not by_person:
        raise UserError(
            f"{folder} holds no scan in layout {layout} with {' or '.join(search.channels)}; choose another "
            "-layout, or name the channels as this source calls them with -channels (t1n=T1w)."
        )
    wanted = None if search.subjects is None else set(map(_bare, search.subjects))
    complete, reasons, subjects = [], {}, set()
    for subject, files in by_person.items():
        if wanted is not None and _bare(subject) not in wanted:
            continue
        subjects.add(_bare(subject))
        case = _case_name(layout, folder, subject)
        images = _first_session(search, files, layout)
        missing = [channel for channel in search.channels if channel not in images]
        if missing:
            reasons[case] = f"it has no {' and no '.join(missing)}"
        else:
            complete.append(Scan(case, tuple(images[channel] for channel in search.channels), folder))
    return complete, reasons, subjects


def _first_session(search: Search, files: Iterable[Found], layout: Layout) -> dict[str, Path]:
    """The images by channel of the first session that has all of them; of the fullest one if none has."""
    sessions: dict[str, dict[str, list[Found]]] = defaultdict(lambda: defaultdict(list))
    for found in files:
        sessions[found.session][found.channel].append(found)
    fullest = min(sessions, key=lambda name: (-len(sessions[name]), name))
    images = {}
    for channel in search.channels:
        candidates = sorted(sessions[fullest][channel], key=lambda found: (found.rank, _natural(str(found.path))))
        if layout == "folder" and len(candidates) > 1:
            paths = " and ".join(str(found.path) for found in candidates[:2])
            raise UserError(f"{paths} are both {channel} of one case by -glob; write * where their names differ.")
        if candidates:
            images[channel] = candidates[0].path
    return images


def _case_name(layout: Layout, folder: Path, subject: str) -> str:
    """Unique over collections: BIDS and other folders count people from 1, so theirs begin with the folder's name."""
    origin = f"{folder.resolve().name}_" if layout in ("bids", "folder") else ""
    return re.sub(r"[^A-Za-z0-9\-]+", "_", f"{origin}{subject}").strip("_")


def _bare(subject: str) -> str:
    return subject.strip().removeprefix("sub-").removeprefix("PPMI_")


def _natural(text: str) -> list[tuple[int, str]]:
    """Sorts run-2 before run-10."""
    return [(int(part) if part.isdigit() else -1, part) for part in re.split(r"(\d+)", text)]
