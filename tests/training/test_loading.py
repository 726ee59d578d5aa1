"""Batches in order, whoever makes them."""

import subprocess
import sys
import time

import numpy as np
import pytest

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import locked
from nnunetv2_tf.training.loading import batches


def numbered(step: int) -> dict[str, np.ndarray]:
    if step % 3 == 0:
        time.sleep(0.02)  # some take longer
    return {"step": np.array(step)}


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_the_order_is_that_of_steps(workers):
    with batches(numbered, 5, workers) as stream:
        assert [int(next(stream)["step"]) for _ in range(10)] == list(range(5, 15))


def failing(step: int) -> dict[str, np.ndarray]:
    if step == 2:
        raise UserError("This scan is damaged; replace it.")
    return numbered(step)


@pytest.mark.parametrize("workers", [0, 2])
def test_what_is_wrong_reaches_the_user(workers):
    with batches(failing, 0, workers) as stream, pytest.raises(UserError, match=r"This scan is damaged; replace it\."):
        for _ in range(4):
            next(stream)


def dying(step: int) -> dict[str, np.ndarray]:
    if step == 1:
        raise SystemExit(1)
    return numbered(step)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # the augmenter's thread says it
def test_a_killed_worker_is_told():
    with batches(dying, 0, 2) as stream, pytest.raises(UserError, match="nnUNet_n_proc_DA to a smaller number"):
        for _ in range(4):
            next(stream)


def broken(step: int) -> dict[str, np.ndarray]:
    if step == 1:
        return {"step": np.zeros(3)[step + 5]}
    return numbered(step)


def test_a_fault_in_a_worker_is_not_told_as_lack_of_memory():
    with (
        batches(broken, 0, 2) as stream,
        pytest.raises(RuntimeError, match="(?s)step 1: IndexError.*in broken"),
    ):
        for _ in range(4):
            next(stream)


def test_workers_end_with_a_killed_process(tmp_path):
    """And let go of the locks they inherited."""
    program = """
import os, sys, time
from pathlib import Path
from nnunetv2_tf.io.files import locked
from nnunetv2_tf.training.loading import batches
from tests.training.test_loading import numbered
with locked(Path(sys.argv[1]), "this"), batches(numbered, 0, 2) as stream:
    next(stream)
    print("ready", flush=True)
    time.sleep(60)
"""
    lock = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(lock)], stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.kill()
    start = time.monotonic()
    with locked(lock, "this", stopped=lambda: time.monotonic() > start + 60):
        pass
