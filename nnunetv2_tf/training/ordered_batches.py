"""Batches that depend on a seed and on their number only. In: one of nnU-Net's dataloaders. Out: the same, in order.

nnU-Net's workers draw from generators that nobody seeds, and hand batches over as they are ready. Here worker k of n
makes the batches k, k + n, k + 2n and so on, each with Python's, numpy's and torch's generators seeded for it, so that
a training gets the same batches from any number of workers, or from none, and goes on with those it would have had.
"""

import queue
import random
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import numpy as np
import torch
from batchgenerators.dataloading.multi_threaded_augmenter import MultiThreadedAugmenter
from batchgenerators.dataloading.single_threaded_augmenter import SingleThreadedAugmenter

from nnunetv2_tf.io.errors import UserError, sentence_of
from nnunetv2_tf.io.processes import variable_set
from nnunetv2_tf.io.workers import end_with_parent

WORKERS = "nnUNet_n_proc_DA"
READY = 6  # batches that wait, at least, all workers together
QUIET = 0.2  # seconds in which nothing more has come from workers that pause
ERROR = "error"  # key of a batch that could not be made, in which nothing else is


class OrderedLoader:
    """One of nnU-Net's dataloaders, whose batches are numbered."""

    def __init__(self, loader: Any, seed: Sequence[int], first: int) -> None:
        """Set up.

        Args:
            loader: nnU-Net's
            seed: of all batches
            first: number of the first batch
        """
        self.loader, self.seed = loader, tuple(seed)
        self.number, self.step = first, 1

    def shared_by(self, workers: int) -> "OrderedLoader":
        """Say how many workers take turns; return itself."""
        self.step = max(1, workers)
        return self

    def set_thread_id(self, worker: int) -> None:
        """Begin with a worker's first batch; called once in each."""
        end_with_parent()  # else it would keep the locks of a training that was killed
        self.number += worker

    def __iter__(self) -> "OrderedLoader":
        return self

    def __next__(self) -> dict[str, Any]:
        number = self.number
        self.number += self.step
        with seeded([*self.seed, number]):
            try:
                return self.batch(number)
            except (UserError, OSError) as error:
                sentence = sentence_of(error)
                if sentence is None:
                    raise
                return {ERROR: sentence}

    def batch(self, number: int) -> dict[str, Any]:  # noqa: ARG002
        """Make a batch; the generators are seeded for it."""
        return next(self.loader)


def in_order(loader: OrderedLoader, workers: int, pinned: bool) -> MultiThreadedAugmenter | SingleThreadedAugmenter:
    """Return what nnU-Net's trainer takes batches from.

    Args:
        loader: makes them
        workers: processes; 0: this one
        pinned: whether batches go to memory that a GPU reads directly
    """
    loader = loader.shared_by(workers)
    if workers == 0:
        return SingleThreadedAugmenter(loader, None)
    each = -(-max(READY, workers // 2) // workers)
    return _OrderlyAugmenter(loader, None, workers, each, pin_memory=pinned, wait_time=0.002)


class _OrderlyAugmenter(MultiThreadedAugmenter):
    """Takes what workers have made from them before they end: else the thread that reads it would find them gone."""

    def _finish(self, timeout: int = 10, force: bool = False) -> None:
        waiting = self.pin_memory_queue
        if waiting is not None and not force and not self.abort_event.is_set():
            self.pause_event.set()  # what is begun is still handed over, nothing else is begun
            with suppress(queue.Empty):
                while True:
                    waiting.get(timeout=QUIET)
        super()._finish(timeout, force)


def seeds_of(seed: Sequence[int]) -> list[int]:
    """Return a seed for each of Python's, numpy's and torch's generators."""
    return [int(state) for state in np.random.SeedSequence(seed).generate_state(3)]


def without_workers() -> AbstractContextManager[None]:
    """Let nnU-Net's trainer make dataloaders without workers for a while."""
    return variable_set(WORKERS, "0")


@contextmanager
def seeded(seed: Sequence[int]) -> Iterator[None]:
    """Seed the generators of Python, numpy and torch (on the CPU) for a while; put back what they were."""
    before = random.getstate(), np.random.get_state(), torch.default_generator.get_state()
    of_python, of_numpy, of_torch = seeds_of(seed)
    random.seed(of_python)
    np.random.seed(of_numpy)
    torch.default_generator.manual_seed(of_torch)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.default_generator.set_state(before[2])
