"""Arrays come back from their files bit for bit; anything else is as good as no file."""

import numpy as np
import pytest

from nnunetv2_tf.io.array_files import read_arrays, write_arrays

RNG = np.random.default_rng(0)
ARRAYS = {
    "mask": RNG.random((7, 5, 3)) > 0.5,
    "image": RNG.normal(size=(2, 9, 4, 5)).astype(np.float32),
    "half": RNG.normal(size=(3, 3)).astype(np.float16),
    "label": np.asfortranarray(RNG.integers(0, 4, (6, 7, 8)).astype(np.int16)),
    "number": np.array(12345),
    "nothing": np.zeros((0, 3), np.float64),
}


@pytest.fixture
def path(tmp_path):
    target = tmp_path / "deep" / "arrays"
    write_arrays(target, ARRAYS, "source")
    return target


def test_they_come_back(path):
    found = read_arrays(path, "source")
    assert found is not None
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found[name], array)
    found["image"][:] = 0  # may be written to


def test_large_arrays_go_in_parts(path, monkeypatch):
    monkeypatch.setattr("nnunetv2_tf.io.array_files.LARGEST", 100)
    write_arrays(path, ARRAYS, "source")
    found = read_arrays(path, "source")
    assert found is not None
    assert all(np.array_equal(found[name], array) for name, array in ARRAYS.items())


def test_no_file_and_another_source_are_nothing(path):
    assert read_arrays(path, "other") is None
    assert read_arrays(path.with_name("other"), "source") is None
    assert read_arrays(path.parent, "source") is None


@pytest.mark.parametrize("kept", [0, 1, 40, 150, 400, -1])
def test_a_file_that_was_cut_short_is_nothing(path, kept):
    content = path.read_bytes()
    path.write_bytes(content[:kept])
    assert read_arrays(path, "source") is None


def test_a_file_with_other_bytes_is_nothing(path):
    content, whole = bytearray(path.read_bytes()), {name: (part.dtype, part.tobytes()) for name, part in ARRAYS.items()}
    for place in range(0, len(content), 37):
        damaged = content.copy()
        damaged[place] ^= 0x55
        path.write_bytes(damaged)
        found = read_arrays(path, "source")
        assert found is None or {name: (part.dtype, part.tobytes()) for name, part in found.items()} == whole
