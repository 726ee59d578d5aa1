"""Batches in order, whoever makes them."""

import time

import numpy as np
import pytest

from nnunetv2_tf.errors import UserError
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
