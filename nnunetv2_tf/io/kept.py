"""Results kept on disk. In: how to compute one, a digest of its inputs. Out: the result, computed once per digest.

What cannot be read, or is of a version that knew other fields, is computed again like what is out of date.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TypeVar

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import write_json
from nnunetv2_tf.io.json_dataclass import read_record, to_json


class _Sourced(Protocol):
    """A dataclass that holds the digest of its inputs."""

    @property
    def source(self) -> str:
        """The digest of the inputs."""
        ...


Loaded = TypeVar("Loaded", bound=_Sourced)


def kept(path: Path, kind: type[Loaded], source: str, compute: Callable[[], Loaded]) -> Loaded:
    """Return the record in a file if it was computed from these inputs; else compute it and write it there.

    Args:
        path: the JSON file
        kind: dataclass of the record
        source: digest of the inputs
        compute: computes the record, whose `source` must be the one given
    """
    if path.is_file():
        with suppress(UserError):
            record = read_record(kind, path, "it is made anew.")
            if record.source == source:
                return record
    record = compute()
    assert record.source == source
    write_json(path, to_json(record))
    return record
