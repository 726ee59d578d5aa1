"""Digests, by which outdated outputs are noticed. In: a JSON value or a file. Out: its SHA-256, hexadecimal."""

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any


def digest(value: Any) -> str:
    """Return the SHA-256 of a JSON value; dicts that differ only in the order of their keys have the same."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes; of a file that has not changed since, without reading it again."""
    stat = path.stat()
    return _content_digest(path, stat.st_size, stat.st_mtime_ns, stat.st_ino)


@lru_cache(maxsize=1 << 17)
def _content_digest(path: Path, size: int, changed: int, number: int) -> str:  # noqa: ARG001
    sha = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            sha.update(block)
    return sha.hexdigest()
