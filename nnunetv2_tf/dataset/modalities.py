"""Names of MRI modalities. In: a channel's name. Out: all names that are in use for the same modality."""

import re
from collections.abc import Iterable, Sequence

ALIASES = {  # compared as `plain` names
    "t1n": ("t1n", "t1", "t1w", "mprage", "spgr", "bravo", "mpr", "t1native"),
    "t1c": ("t1c", "t1ce", "t1gd", "t1post", "t1wgd"),
    "t2w": ("t2w", "t2"),
    "t2f": ("t2f", "flair", "t2flair"),
    "pdw": ("pdw", "pd"),
}


def known_names(channel: str) -> set[str]:
    """Return all names of the modality that a channel is named after, as `plain` names."""
    known = next((aliases for aliases in ALIASES.values() if plain(channel) in map(plain, aliases)), ())
    return {plain(channel), *map(plain, known)}


def first_known(modalities: Iterable[str], channels: Sequence[str]) -> tuple[str, int] | None:
    """Return the first of some modalities that a channel is named after, and that channel's number."""
    for modality in modalities:
        for index, channel in enumerate(channels):
            if plain(channel) in known_names(modality):
                return modality, index
    return None


def plain(name: str) -> str:
    """Return a name as names are compared: its letters in lower case and its digits, nothing else."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
