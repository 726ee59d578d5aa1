"""A function in a process of its own: what crashes, hangs or wants all memory ends there."""

import ctypes
import sys
import time

import numpy as np
import pytest

from nnunetv2_tf.io import isolated as module
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.isolated import isolated


def double(value: np.ndarray) -> np.ndarray:
    return value * 2


def crash() -> None:
    ctypes.string_at(0)


def refuse() -> None:
    raise UserError("this file is bad; replace it.")


def take(gigabytes: int) -> int:
    return len(bytearray(gigabytes << 30))


def test_results_come_back():
    np.testing.assert_array_equal(isolated(double, np.arange(3), what="x"), [0, 2, 4])


def test_sentences_come_back():
    with pytest.raises(UserError, match="this file is bad"):
        isolated(refuse, what="x")


def test_a_crash_is_a_sentence():
    with pytest.raises(UserError, match="x.dcm crashes the library that reads it"):
        isolated(crash, what="x.dcm")


def test_what_hangs_is_given_up():
    began = time.monotonic()
    with pytest.raises(UserError, match="was not read within 0.2 s"):
        isolated(time.sleep, 60, what="x", seconds=0.2)
    assert time.monotonic() - began < 30


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process")
def test_memory_is_limited():
    with pytest.raises(UserError, match=f"more than {module.MEMORY} GiB"):
        isolated(take, module.MEMORY + 1, what="x")
