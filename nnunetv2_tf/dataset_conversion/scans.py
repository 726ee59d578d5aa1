"""Finds healthy scans. In: folders and the channels wanted. Out: one scan per person.

A person's second session or repetition would count as another person, so each gives one scan: of the first session that
has all channels, unless another session is asked for.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunetv2_tf.dataset_conversion.cohorts import FINDERS, Found, Layout, Search, infer_layout
from nnunetv2_tf.errors import UserError

FLAGS: dict[str, tuple[Layout, ...]] = {  # the layouts they mean something in
    "where": ("bids", "ppmi"),
    "session": ("bids",),
    "globs": ("folder",),
}


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
    files: dict[str, list[tuple[Path, Layout, Found]]] = defaultdict(list)
    layouts: set[Layout] = set()
    for folder in search.folders:
        layout, found = _in_folder(search, folder)
        layouts.add(layout)
        for one in found:
            files[_case_name(layout, folder, one.subject)].append((folder, layout, one))
    _refuse_unused(search, layouts)
    wanted = None if search.subjects is None else set(map(_bare, search.subjects))
    scans, reasons, met = [], {}, set()
    for case, entries in sorted(files.items()):
        subject = _bare(entries[0][2].subject)
        met.add(subject)
        if wanted is not None and subject not in wanted:
            continue
        _refuse_namesakes(case, entries)
        images = _first_session(search, entries)
        missing = [channel for channel in search.channels if channel not in images]
        if missing:
            reasons[case] = f"it has no {' and no '.join(missing)}"
        else:
            paths = tuple(images[channel] for channel in search.channels)
            scans.append(Scan(case, paths, entries[0][0]))
    for name in sorted((wanted or set()) - met):
        reasons[name] = "it is listed in -subjects and not found"
    return scans, reasons


def _in_folder(search: Search, folder: Path) -> tuple[Layout, list[Found]]:
    if not folder.is_dir():
        raise UserError(f"{folder} does not exist or is no folder; give the folder that holds the scans.")
    layout = infer_layout(search, folder) if search.layout == "auto" else search.layout
    if search.where and layout not in FLAGS["where"]:
        raise UserError(
            f"-where means nothing in {folder}, which has layout {layout}; leave it out, or name the people in a file "
            "with -subjects."
        )
    found = list(FINDERS[layout](search, folder))
    if not found:
        raise UserError(
            f"{folder} holds no scan in layout {layout} with {' or '.join(search.channels)}; choose another "
            "-layout, or name the channels as this source calls them with -channels (t1n=T1w)."
        )
    return layout, found


def _refuse_unused(search: Search, layouts: set[Layout]) -> None:
    """Raises when an option means nothing in any folder."""
    for flag, meant in FLAGS.items():
        if getattr(search, flag) and not layouts & set(meant):
            raise UserError(
                f"-{flag.removesuffix('s')} means nothing in layout {' or '.join(sorted(layouts))}; leave it out, or "
                f"choose -layout {' or '.join(meant)}."
            )


def _refuse_namesakes(case: str, entries: Sequence[tuple[Path, Layout, Found]]) -> None:
    """IXI and PPMI number people for all of their folders; elsewhere two of one name are two people."""
    folders = list(dict.fromkeys(folder for folder, _, _ in entries))
    if len(folders) > 1 and any(layout in ("bids", "folder") for _, layout, _ in entries):
        both = f"{folders[0]} and {folders[1]}"
        raise UserError(f"{both} both have somebody who would be called {case}; give one of them another name.")


def _first_session(search: Search, entries: Sequence[tuple[Path, Layout, Found]]) -> dict[str, Path]:
    """The images by channel of the first session that has all of them; of the fullest one if none has."""
    sessions: dict[str, dict[str, list[Found]]] = defaultdict(lambda: defaultdict(list))
    for _, _, found in entries:
        sessions[found.session][found.channel].append(found)
    fullest = min(sessions, key=lambda name: (-len(sessions[name]), _natural(name)))
    images = {}
    for channel in search.channels:
        candidates = sorted(sessions[fullest][channel], key=lambda found: (found.rank, _natural(str(found.path))))
        if entries[0][1] == "folder" and len(candidates) > 1:
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
