"""Work shared between jobs and processes. In: a function and its items. Out: the results, in the order of the items."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.workers import DIED, apply, worker_pool

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Share:
    """The part of the work that one of several jobs does: `index in share` tells whether it does piece `index`."""

    num_parts: int = 1
    part_id: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.part_id < self.num_parts:
            raise UserError(f"-part_id goes from 0 to {self.num_parts - 1}, not {self.part_id}.")

    def __contains__(self, index: int) -> bool:
        return index % self.num_parts == self.part_id


def in_parallel(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    num_processes: int,
    description: str,
    unit: str = "case",
    option: str = "-np",
) -> Iterator[Result]:
    """Yield function(item) for every item, in order, under a progress bar.

    With one process, or one item, the work is done in this process. The function is sent to each process once, so it
    may hold much data. `option` is what users choose their number by, for the sentence when memory runs out.
    """
    from tqdm import tqdm

    if not items:
        return
    progress = tqdm(total=len(items), desc=description, unit=unit)
    workers = min(num_processes, len(items))
    with progress:
        if workers <= 1:
            for item in items:
                yield function(item)
                progress.update()
            return
        with worker_pool(workers, function) as pool:
            try:
                for result in pool.map(apply, items):
                    yield result
                    progress.update()
            except DIED:
                raise UserError(
                    f"A worker process was killed while {description.lower()}, most likely because memory ran out; "
                    f"run the same command again with a smaller {option} than {num_processes}."
                ) from None
            finally:
                pool.shutdown(wait=False, cancel_futures=True)


class Meanwhile:
    """A process of its own that applies a function to items while this one does something else."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._pool = worker_pool(1, function)
        self._begun: list[Future] = []

    def begin(self, items: Sequence[Any]) -> None:
        """Hand items over, and go on."""
        try:
            self._begun += [self._pool.submit(apply, item) for item in items]
        except DIED:
            raise self._killed() from None

    def results(self) -> Iterator[Any]:
        """Yield the results of all items that were handed over since, in order, each as soon as it is there."""
        begun, self._begun = self._begun, []
        try:
            for future in begun:
                yield future.result()
        except DIED:
            raise self._killed() from None

    def _killed(self) -> UserError:
        return UserError(
            "A process that worked beside this one was killed, most likely because memory ran out; go on with more of "
            "it (nnUNetv2_train ... --c)."
        )

    def close(self) -> None:
        """End the process at once; what it has not finished is left undone."""
        processes = list((getattr(self._pool, "_processes", None) or {}).values())
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()
