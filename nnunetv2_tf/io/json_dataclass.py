"""Dataclasses as JSON. In: a frozen dataclass, or a JSON value. Out: the other of the two.

What is read is checked against the annotations, field by field. A dataclass checks what its annotations cannot say in
`__post_init__`, by raising ValueError. Fields that have a default may be left out of a file that people write.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json

Loaded = TypeVar("Loaded")

ONLY_IF_SET = "only if set"  # metadata of a field that is written only where it differs from its default

_PLAIN = {str: "text", bool: "true or false", int: "a whole number", type(None): "null"}


def to_json(record: Any) -> Any:
    """Return the JSON value of a dataclass (or of anything inside one)."""
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        values = {entry: getattr(record, entry.name) for entry in dataclasses.fields(record)}
        return {entry.name: to_json(value) for entry, value in values.items() if not _left_out(entry, value)}
    if isinstance(record, Mapping):
        return {key: to_json(value) for key, value in record.items()}
    if isinstance(record, (list, tuple)):
        return [to_json(value) for value in record]
    return record


def _left_out(entry: dataclasses.Field, value: Any) -> bool:
    if not entry.metadata.get(ONLY_IF_SET, False):
        return False
    return value == (entry.default if entry.default_factory is dataclasses.MISSING else entry.default_factory())


def from_json(kind: type[Loaded], value: Any) -> Loaded:
    """Return the dataclass that `to_json` made `value` of; raise ValueError with one sentence when it does not fit."""
    return _read(kind, value, kind.__name__)


def checked(kind: type[Loaded], value: Any, path: Path, cure: str) -> Loaded:
    """Return the dataclass in a value read from the file `path`; `cure` ends the error message when it does not fit."""
    try:
        return from_json(kind, value)
    except ValueError as error:
        raise UserError(f"{path}: {error}; {cure}") from None


def read_record(kind: type[Loaded], path: Path, cure: str) -> Loaded:
    """Read a dataclass from a JSON file; `cure` ends the error message when that fails."""
    return checked(kind, read_json(path, cure), path, cure)


def _read(kind: Any, value: Any, name: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _read_dataclass(kind, value, name)
    if origin in (typing.Union, types.UnionType):
        return _read_union(arguments, value, name)
    if origin is typing.Literal:
        return _expect(value in arguments, value, name, " or ".join(map(repr, arguments)))
    if origin is tuple:
        return _read_tuple(arguments, value, name)
    if origin is not None and issubclass(origin, Mapping):
        _expect(isinstance(value, dict), value, name, "an object")
        return {key: _read(arguments[1], entry, f"{name}[{key!r}]") for key, entry in value.items()}
    if kind is Any:
        return value
    if kind is float:
        return _expect(type(value) in (int, float) and math.isfinite(value), value, name, "a number")
    return _expect(type(value) is kind, value, name, _PLAIN[kind])


def _read_tuple(kinds: tuple[Any, ...], value: Any, name: str) -> tuple[Any, ...]:
    """Read a tuple of any length (`tuple[X, ...]`), or of as many entries as the annotation names."""
    _expect(isinstance(value, list), value, name, "a list")
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    _expect(len(value) == len(kinds), value, name, f"a list of {len(kinds)}")
    return tuple(
        _read(kind, entry, f"{name}[{index}]") for index, (kind, entry) in enumerate(zip(kinds, value, strict=True))
    )


def _read_dataclass(kind: Any, value: Any, name: str) -> Any:
    _expect(isinstance(value, dict), value, name, "an object")
    hints = typing.get_type_hints(kind)
    fields = dataclasses.fields(kind)
    needed = {
        entry.name
        for entry in fields
        if entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING
    }
    wrong = (needed - set(value)) | (set(value) - {entry.name for entry in fields})
    if wrong:
        raise ValueError(f"{name} lacks or does not know: {', '.join(sorted(wrong))}")
    return kind(**{field: _read(hints[field], entry, f"{name}.{field}") for field, entry in value.items()})


def _read_union(kinds: tuple[Any, ...], value: Any, name: str) -> Any:
    sentences = []
    for kind in kinds:
        try:
            return _read(kind, value, name)
        except ValueError as error:
            sentences.append(str(error))
    raise ValueError(sentences[0] if value is not None else sentences[-1])


def _expect(condition: bool, value: Any, name: str, expected: str) -> Any:
    if not condition:
        raise ValueError(f"{name} must be {expected}, not {value!r}")
    return value
