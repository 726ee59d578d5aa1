"""Files of named arrays, compressed without loss. In: arrays. Out: a file, and the same arrays from it, or None.

A file knows what it was made from: another source, or a damaged file, is as good as no file.
"""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import blosc2
import numpy as np

from nnunetv2_tf.io.files import whole_file

Arrays = Mapping[str, np.ndarray]
LARGEST = 1 << 30  # bytes of an array that are compressed at once


def write_arrays(path: Path, arrays: Arrays, source: str) -> None:
    """Write arrays to a file, whole or not at all.

    Args:
        path: where to
        arrays: by name; masks of bool take a bit each
        source: digest of what they were made from
    """
    entries, blobs = [], []
    for name, array in arrays.items():
        plain = np.packbits(array) if array.dtype == bool else np.ascontiguousarray(array)
        content = plain.tobytes()
        parts = [_compressed(content[k : k + LARGEST], plain.itemsize) for k in range(0, len(content), LARGEST)]
        entries.append([name, array.dtype.str, array.shape, [len(part) for part in parts]])
        blobs += parts
    body = b"".join(blobs)
    head = json.dumps({"source": source, "arrays": entries, "checksum": _checksum(entries, body)}).encode()
    with whole_file(path, lasting=False) as temporary, open(temporary, "wb") as file:
        file.write(head + b"\n")
        file.write(body)


def read_arrays(path: Path, source: str) -> dict[str, np.ndarray] | None:
    """Return the arrays of a file; None when there is none that was made from this source, and is whole."""
    try:
        with open(path, "rb") as file:
            head = json.loads(file.readline())
            if head["source"] != source:
                return None
            body = file.read()
        if _checksum(head["arrays"], body) != head["checksum"]:
            return None
        arrays, start = {}, 0
        for name, kind, shape, sizes in head["arrays"]:
            parts = []
            for size in sizes:
                parts.append(blosc2.decompress2(body[start : start + size]))
                start += size
            arrays[name] = _array(parts[0] if len(parts) == 1 else b"".join(parts), np.dtype(kind), tuple(shape))
        return arrays
    except (OSError, ValueError, KeyError, TypeError, RuntimeError):
        return None


def _checksum(entries: list[Any], body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(json.dumps(entries).encode()))


def _compressed(content: Any, size: int) -> bytes:
    settings = {"codec": blosc2.Codec.LZ4, "clevel": 5, "typesize": size, "nthreads": 1}
    compressed: Any = blosc2.compress2(content, **settings)
    return compressed


def _array(content: bytes, kind: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    """Return an array that may be written to."""
    if kind.kind == "b":
        bits = np.unpackbits(np.frombuffer(content, np.uint8), count=int(np.prod(shape)))
        return bits.view(bool).reshape(shape)
    return np.frombuffer(bytearray(content), kind).reshape(shape)
