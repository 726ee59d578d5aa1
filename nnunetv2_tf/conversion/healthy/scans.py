"""The healthy scans in the folders that users get. In: folders and the channels wanted. Out: one scan per person.

A person's second session or repetition would count as another person, so each gives one scan: of the first session that
has all channels, unless another session is asked for.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nnunetv2_tf.conversion.folders import passed_over
from nnunetv2_tf.conversion.healthy.layouts import FINDERS, Layout, ScanFile, Search, infer_layout
from nnunetv2_tf.io.errors import UserError

FLAGS: dict[str, tuple[Layout, ...]] = {  # options, with the layouts in which they mean something
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
    """Return the complete scans by name, and why others cannot be used: {case: sentence}."""
    strangers = sorted((set(search.called) | set(search.globs)) - set(search.channels))
    if strangers:
        raise UserError(
            f"-channels or -glob names {strangers[0]}, and the reference has {', '.join(search.channels)}; correct it."
        )
    files: dict[str, list[tuple[Path, Layout, ScanFile]]] = defaultdict(list)
    layouts: set[Layout] = set()
    for folder in search.folders:
        layout, scan_files = _in_folder(search, folder)
        layouts.add(layout)
        for scan_file in scan_files:
            files[_case_name(layout, folder, scan_file.subject)].append((folder, layout, scan_file))
    _check_all_used(search, layouts)
    wanted = None if search.subjects is None else set(map(_bare, search.subjects))
    scans, reasons, met = [], {}, set()
    for case, entries in sorted(files.items()):
        subject = _bare(entries[0][2].subject)
        met.add(subject)
        if wanted is not None and subject not in wanted:
            continue
        _check_unique_names(case, entries)
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


def without_scans(search: Search) -> list[Path]:
    """Return the folders in which files lie and no scan of a wanted channel is recognised, whoever is wanted."""
    everybody = replace(search, where=None, session=None, subjects=None)
    folders = []
    for folder in search.folders:
        _, scan_files = _in_folder(everybody, folder)
        folders += passed_over(folder, [scan_file.path for scan_file in scan_files])
    return folders


def _in_folder(search: Search, folder: Path) -> tuple[Layout, list[ScanFile]]:
    if not folder.is_dir():
        raise UserError(f"{folder} does not exist or is no folder; give the folder that holds the scans.")
    layout = infer_layout(search, folder) if search.layout == "auto" else search.layout
    if search.where and layout not in FLAGS["where"]:
        raise UserError(
            f"-where means nothing in {folder}, which has layout {layout}; leave it out, or name the people in a file "
            "with -subjects."
        )
    scan_files = list(FINDERS[layout](search, folder))
    if not scan_files:
        raise UserError(
            f"{folder} holds no scan in layout {layout} with {' or '.join(search.channels)}; choose another "
            "-layout, or name the channels as this source calls them with -channels (t1n=T1w)."
        )
    return layout, scan_files


def _check_all_used(search: Search, layouts: set[Layout]) -> None:
    """Raise when an option means nothing in any folder."""
    for flag, meant in FLAGS.items():
        if getattr(search, flag) and not layouts & set(meant):
            raise UserError(
                f"-{flag.removesuffix('s')} means nothing in layout {' or '.join(sorted(layouts))}; leave it out, or "
                f"choose -layout {' or '.join(meant)}."
            )


def _check_unique_names(case: str, entries: Sequence[tuple[Path, Layout, ScanFile]]) -> None:
    """Raise when people of two folders would be called alike, except in layouts that number people for all folders.

    IXI and PPMI do; elsewhere two of one name are two people.
    """
    folders = list(dict.fromkeys(folder for folder, _, _ in entries))
    if len(folders) > 1 and any(layout in ("bids", "folder") for _, layout, _ in entries):
        both = f"{folders[0]} and {folders[1]}"
        raise UserError(f"{both} both have somebody who would be called {case}; give one of them another name.")


def _first_session(search: Search, entries: Sequence[tuple[Path, Layout, ScanFile]]) -> dict[str, Path]:
    """Return the images by channel of the first session that has all of them; of the fullest one if none has."""
    sessions: dict[str, dict[str, list[ScanFile]]] = defaultdict(lambda: defaultdict(list))
    for _, _, scan_file in entries:
        sessions[scan_file.session][scan_file.channel].append(scan_file)
    fullest = min(sessions, key=lambda name: (-len(sessions[name]), _natural(name)))
    images = {}
    for channel in search.channels:
        candidates = sorted(sessions[fullest][channel], key=lambda file: (file.rank, _natural(str(file.path))))
        if entries[0][1] == "folder" and len(candidates) > 1:
            paths = " and ".join(str(file.path) for file in candidates[:2])
            raise UserError(f"{paths} are both {channel} of one case by -glob; write * where their names differ.")
        if candidates:
            images[channel] = candidates[0].path
    return images


def _case_name(layout: Layout, folder: Path, subject: str) -> str:
    """Return a case's name that is unique over collections.

    BIDS and other folders count people from 1, so names of their cases begin with the folder's name.
    """
    origin = f"{folder.resolve().name}_" if layout in ("bids", "folder") else ""
    return re.sub(r"[^A-Za-z0-9\-]+", "_", f"{origin}{subject}").strip("_")


def _bare(subject: str) -> str:
    return subject.strip().removeprefix("sub-").removeprefix("PPMI_")


def _natural(text: str) -> list[tuple[int, str]]:
    """Return a key for sorting that puts run-2 before run-10."""
    return [(int(part) if part.isdigit() else -1, part) for part in re.split(r"(\d+)", text)]
