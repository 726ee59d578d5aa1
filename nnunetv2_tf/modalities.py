"""What MRI modalities are called. In: a channel's name. Out: all names by which others know it."""

import re

ALIASES = {  # compared without case, - and _
    "t1n": ("t1n", "t1", "t1w", "mprage", "spgr", "bravo", "mpr", "t1native"),
    "t1c": ("t1c", "t1ce", "t1gd", "t1post", "t1wgd"),
    "t2w": ("t2w", "t2"),
    "t2f": ("t2f", "flair", "t2flair"),
    "pdw": ("pdw", "pd"),
}


def known_names(channel: str) -> set[str]:
    """All that a modality is called, plain, whatever of it a dataset calls its channel."""
    known = next((aliases for aliases in ALIASES.values() if plain(channel) in map(plain, aliases)), ())
    return {plain(channel), *map(plain, known)}


def plain(name: str) -> str:
    """A name as names are compared."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
