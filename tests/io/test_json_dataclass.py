from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.json_dataclass import ONLY_IF_SET, from_json, read_record, to_json


@dataclass(frozen=True)
class Inner:
    text: str


@dataclass(frozen=True)
class Outer:
    number: int
    weight: float | None
    yes: bool
    names: tuple[str, ...] | Literal["unknown"]
    inner: Inner | None
    inners: tuple[Inner, ...]
    free: Mapping[str, Any]
    place: tuple[float, float, int] = (0.0, 0.0, 0)
    notes: Mapping[str, str] = field(default_factory=dict)


GOOD = Outer(1, 0.5, True, ("a",), Inner("b"), (Inner("c"),), {"k": [1]}, (1.5, 2.0, 3), {"by": "hand"})


@pytest.mark.parametrize("record", [GOOD, Outer(0, None, False, "unknown", None, (), {})])
def test_round_trip(record):
    assert from_json(Outer, to_json(record)) == record


@pytest.mark.parametrize("name", ["place", "notes"])
def test_fields_with_a_default_or_a_factory_may_be_left_out(name):
    value = to_json(GOOD)
    del value[name]
    assert getattr(from_json(Outer, value), name) == getattr(Outer(0, None, False, (), None, (), {}), name)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"number": 1.5}, "Outer.number must be a whole number, not 1.5"),
        ({"number": True}, "Outer.number must be a whole number, not True"),
        ({"weight": "x"}, "Outer.weight must be a number, not 'x'"),
        ({"weight": float("nan")}, "Outer.weight must be a number, not nan"),
        ({"yes": 1}, "Outer.yes must be true or false, not 1"),
        ({"names": [1]}, "Outer.names[0] must be text, not 1"),
        ({"names": "nobody"}, "Outer.names must be a list, not 'nobody'"),
        ({"inner": {"text": None}}, "Outer.inner.text must be text, not None"),
        ({"inners": [{}]}, "Outer.inners[0] lacks or does not know: text"),
        ({"place": [1.0]}, "Outer.place must be a list of 3, not [1.0]"),
        ({"place": [1.0, 2.0, 3, 4]}, "Outer.place must be a list of 3, not [1.0, 2.0, 3, 4]"),
        ({"place": [1.0, 2.0, 3.5]}, "Outer.place[2] must be a whole number, not 3.5"),
        ({"free": []}, "Outer.free must be an object, not []"),
        ({"extra": 1}, "Outer lacks or does not know: extra"),
    ],
)
def test_a_wrong_field_is_named(change, sentence):
    with pytest.raises(ValueError, match=".") as caught:
        from_json(Outer, {**to_json(GOOD), **change})
    assert str(caught.value) == sentence


def test_a_file_is_named_with_its_cure(tmp_path):
    (tmp_path / "r.json").write_text("[]", encoding="utf-8")
    with pytest.raises(UserError, match=r"r\.json: Inner must be an object, not \[\]; make it again\."):
        read_record(Inner, tmp_path / "r.json", "make it again.")


def test_a_field_that_came_later_is_written_only_where_it_says_something():
    @dataclass(frozen=True)
    class Grown:
        name: str
        strength: float = field(default=0.0, metadata={ONLY_IF_SET: True})

    assert to_json(Grown("as before")) == {"name": "as before"}
    assert to_json(Grown("new", 0.5)) == {"name": "new", "strength": 0.5}
    assert from_json(Grown, {"name": "as before"}) == Grown("as before")


def test_so_is_a_mapping_that_came_later():
    @dataclass(frozen=True)
    class Grown:
        scans: Mapping[str, tuple[str, str]] = field(default_factory=dict, metadata={ONLY_IF_SET: True})

    assert to_json(Grown()) == {}
    assert from_json(Grown, to_json(Grown({"a": ("case", "a")}))) == Grown({"a": ("case", "a")})
