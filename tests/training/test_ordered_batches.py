"""Batches are those of their number and the seed, whoever makes them."""

import errno
import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from batchgenerators.dataloading.multi_threaded_augmenter import MultiThreadedAugmenter

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.training.ordered_batches import ERROR, OrderedLoader, in_order, seeded, without_workers


class Drawing:
    """Draws from every generator that nnU-Net's augmentation draws from."""

    def __next__(self) -> dict[str, Any]:
        return {"drawn": (random.random(), float(np.random.rand()), float(torch.rand(())))}


@dataclass(frozen=True)
class Refusing:
    reason: Exception

    def __next__(self) -> dict[str, Any]:
        raise self.reason


def batches(workers: int, first: int, number: int, seed: int = 0) -> list[Any]:
    augmenter: Any = in_order(OrderedLoader(Drawing(), [seed, 1], first), workers, pinned=False)
    try:
        return [next(augmenter)["drawn"] for _ in range(number)]
    finally:
        if isinstance(augmenter, MultiThreadedAugmenter):
            augmenter._finish()


def test_any_number_of_workers_makes_the_same():
    alone = batches(0, 0, 7)
    assert len(set(alone)) == 7
    for workers in (1, 2, 3):
        assert batches(workers, 0, 7) == alone
    assert batches(2, 3, 4) == alone[3:]  # as a training that goes on
    assert batches(0, 0, 7, seed=1) != alone


def test_generators_are_what_they_were():
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(3)
    expected = next(Drawing())
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(3)
    with seeded([1, 2]):
        inside = next(Drawing())
    assert next(Drawing()) == expected
    with seeded([1, 2]):
        assert next(Drawing()) == inside


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        (UserError("there is no room"), "there is no room"),
        (OSError(errno.EMFILE, "many", "case_000.b2nd"), "case_000.b2nd: this system allows no more open files"),
    ],
    ids=["ours", "the system's"],
)
def test_a_batch_that_cannot_be_made_says_so(workers, reason, sentence):
    augmenter = in_order(OrderedLoader(Refusing(reason), [0], 0), workers, pinned=False)
    batch: Any = next(augmenter)
    assert list(batch) == [ERROR]
    assert batch[ERROR].startswith(sentence)
    if isinstance(augmenter, MultiThreadedAugmenter):
        augmenter._finish()


def test_what_nobody_can_mend_is_raised():
    with pytest.raises(OSError, match="odd"):
        next(in_order(OrderedLoader(Refusing(OSError(errno.EPROTO, "odd")), [0], 0), 0, pinned=False))


@pytest.mark.parametrize("before", [None, "4"])
def test_the_number_of_workers_is_put_back(monkeypatch, before):
    import os

    monkeypatch.delenv("nnUNet_n_proc_DA") if before is None else monkeypatch.setenv("nnUNet_n_proc_DA", before)
    with without_workers():
        assert os.environ["nnUNet_n_proc_DA"] == "0"
    assert os.environ.get("nnUNet_n_proc_DA") == before
