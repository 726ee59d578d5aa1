"""Data-parallel training by several processes. In: the variables that torchrun or `launch` sets. Out: a Team.

Every process has its share of every batch. Gradients are averaged after the backward pass, not by
DistributedDataParallel: it does not follow two networks that train in turns. The networks are small beside the work of
a step, so averaging them at its end costs little.
"""

import datetime
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import wait
from typing import Any, NoReturn, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from nnunetv2_tf.io.errors import UserError, run_command
from nnunetv2_tf.io.workers import end_with_parent

PATIENCE = datetime.timedelta(hours=4)  # how long to wait for another process, which may be checking many scans
LINGER = 10.0  # seconds that a process gets to end by itself
STOPPED = 2  # exit code of the others when the main process cannot begin

Value = TypeVar("Value")


@dataclass(frozen=True)
class Team:
    """Which of several processes this is. The first is the main process: only it writes files and logs."""

    rank: int = 0
    size: int = 1  # number of processes
    local: int = 1  # number of processes on this machine

    @property
    def is_main(self) -> bool:
        """Whether this is the main process."""
        return self.rank == 0

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """Let the others wait until the main process has run the block; if it fails, only it says why, and all end."""
        if not self.is_main:
            if not self.broadcast(None):
                raise SystemExit(STOPPED)
            yield
            return
        try:
            yield
        except BaseException:
            self.broadcast(False)
            raise
        self.broadcast(True)

    def broadcast(self, value: Value | None) -> Value:
        """Return the main process's value in every process; the others pass None."""
        if self.size == 1:
            assert value is not None
            return value
        return cast(Value, from_first_process(value))

    def mean(self, values: Mapping[str, Tensor]) -> dict[str, float]:
        """Return the means of scalars over all processes."""
        totals = torch.stack([value.double() for value in values.values()])
        if self.size > 1:
            dist.all_reduce(totals)
        return dict(zip(values, (totals / self.size).tolist(), strict=True))

    def gathered(self, part: Tensor) -> Tensor:
        """Return a tensor of the whole batch, in its order, of which each process has every n-th entry.

        The own entries keep their gradients.
        """
        if self.size == 1:
            return part
        parts = [torch.empty_like(part) for _ in range(self.size)]
        dist.all_gather(parts, part.detach().contiguous())
        parts[self.rank] = part
        return torch.stack(parts, dim=1).flatten(0, 1)

    def average_gradients(self, weights: Iterable[nn.Parameter]) -> None:
        """Average the gradients over all processes, as if one process had seen the whole batch.

        All processes must have gradients for the same weights.
        """
        if self.size == 1:
            return
        gradients: list[Tensor] = [weight.grad for weight in weights if weight.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.size
        for gradient, mean in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))


def number_of_processes() -> int:
    """Return how many processes train together, whoever started them."""
    return dist.get_world_size() if dist.is_initialized() else 1


def from_first_process(value: Value) -> Value:
    """Return the first process's value in every process."""
    box = [value]
    if dist.is_initialized():
        dist.broadcast_object_list(box)
    return box[0]


def gathered_lists(part: Sequence[Value]) -> list[Value]:
    """Return what all processes have, in the order of their ranks; what this one has where it is alone."""
    if not dist.is_initialized():
        return list(part)
    everybody: list[list[Value]] = [[] for _ in range(dist.get_world_size())]
    dist.all_gather_object(everybody, list(part))
    return [one for of_one in everybody for one in of_one]


def is_member() -> bool:
    """Return whether this process was started as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def check_gpus(number: int, device: torch.device) -> None:
    """Raise when this machine has fewer GPUs than processes."""
    if device.type == "cuda" and number > torch.cuda.device_count():
        raise UserError(f"There are {torch.cuda.device_count()} GPUs here, not {number}; take a smaller -num_gpus.")


@contextmanager
def joined(device: torch.device) -> Iterator[tuple[Team, torch.device]]:
    """Join the team of this process, and yield it with the process's device; a process started alone is a team of one.

    A process that fails prints its error and exits at once: an orderly exit would wait for others that wait for it.
    """
    if not is_member():
        yield Team(), device
        return
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    check_gpus(local, device)
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    team = Team(dist.get_rank(), dist.get_world_size(), local)
    try:
        yield team, device
    except BaseException as error:
        if not team.is_main:
            time.sleep(LINGER)  # most likely the main process failed, too: it prints the error and ends this one
        _leave(error)
    dist.barrier()
    dist.destroy_process_group()


def _leave(error: BaseException) -> NoReturn:
    """Print the error as a command would, and end the process."""

    def reraise() -> None:
        raise error

    try:
        code = run_command(reraise)
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def launch(number: int, command: Callable[..., int | None], *arguments: Any) -> int:
    """Run command(*arguments) in `number` processes of this machine as a team; return the main process's exit code.

    When one process fails, the others are ended.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = get_context("spawn")
    team = [context.Process(target=_member, args=(rank, number, port, command, arguments)) for rank in range(number)]
    for member in team:
        member.start()
    try:
        running = list(team)
        while team[0] in running and not any(member.exitcode for member in team if member not in running):
            ended = wait([member.sentinel for member in running])
            for member in [member for member in running if member.sentinel in ended]:
                member.join()
                running.remove(member)
        if team[0].exitcode == 0:
            for member in team:
                member.join(LINGER)
        codes = [member.exitcode for member in team]
    finally:
        for member in team:
            member.kill()
            member.join()
    for rank, code in enumerate(codes):
        if code is not None and code < 0:
            print(
                f"Error: process {rank} of {number} was killed (signal {-code}), most likely because memory ran out; "
                "the same command goes on.", file=sys.stderr,
            )  # fmt: skip
    main_code = codes[0] or 0
    return main_code if main_code > 0 else int(any(codes))


def _member(rank: int, number: int, port: int, command: Callable[..., int | None], arguments: tuple[Any, ...]) -> None:
    end_with_parent()
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": str(rank), "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(number), "LOCAL_WORLD_SIZE": str(number),
    }  # fmt: skip
    sys.exit(run_command(lambda: command(*arguments)))
