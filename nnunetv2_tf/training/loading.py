"""Batches from worker processes. In: a function from a step's number to its batch. Out: the batches, in order.

A batch depends on its step's number alone, so that it is the same for any number of workers, and after resuming.
"""

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import Any

import numpy as np
import torch
from batchgenerators.dataloading.multi_threaded_augmenter import MultiThreadedAugmenter
from torch import Tensor

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.workers import end_with_parent, use_one_thread

Arrays = Mapping[str, np.ndarray]  # what workers send: a tensor's shared memory is lost when its worker ends
Batch = Mapping[str, Tensor]

AHEAD = 2  # batches that a worker prepares in advance


@contextmanager
def batches(make: Callable[[int], Arrays], first: int, workers: int) -> Iterator[Iterator[Batch]]:
    """Yield an endless stream of make(first), make(first + 1), ...; its workers end with the context.

    Args:
        make: returns the batch of a step, given its number
        first: number of the first step
        workers: processes that make batches; with 0 this process makes them
    """
    if workers < 1:
        yield (as_tensors(make(step)) for step in count(first))
        return
    source: Any = MultiThreadedAugmenter(_Loader(make, first, workers), None, workers, AHEAD)
    try:
        yield _checked(source)
    finally:
        source._finish()


class _Loader:
    """Every n-th batch, for one of n workers: each has a copy of this, and the augmenter asks them in turn."""

    def __init__(self, make: Callable[[int], Arrays], first: int, workers: int) -> None:
        self.make, self.step, self.workers = make, first, workers

    def set_thread_id(self, number: int) -> None:
        """Set up the worker; the augmenter calls this once, in the worker's process."""
        end_with_parent()
        torch.set_num_threads(1)  # a forked process must not use torch's threads
        use_one_thread()
        self.step += number

    def __next__(self) -> Arrays | Exception:
        step, self.step = self.step, self.step + self.workers
        try:
            return self.make(step)
        except UserError as error:
            return error
        except Exception as error:  # otherwise the augmenter would only say that a worker is gone
            return RuntimeError(f"making the batch of step {step}: {error!r}\n{traceback.format_exc()}")


def _checked(source: Iterator[Arrays | Exception]) -> Iterator[Batch]:
    while True:
        try:
            item = next(source)
        except RuntimeError as error:
            raise UserError(
                f"A process that makes batches was killed ({error}); most likely memory ran out: set nnUNet_n_proc_DA "
                "to a smaller number and run the same command again, it goes on."
            ) from None
        if isinstance(item, Exception):
            raise item
        yield as_tensors(item)


def as_tensors(arrays: Arrays) -> Batch:
    """Return the arrays as tensors that share their memory."""
    return {name: torch.from_numpy(array) for name, array in arrays.items()}
