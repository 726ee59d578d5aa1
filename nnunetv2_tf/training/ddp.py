"""Processes that train together, each on a share of every batch. In: what torchrun, or `launch`, set. Out: a Team.

Gradients are averaged after the backward pass: the networks are small beside what one step works out, both players take
turns, and a penalty on gradients wants a second backward pass, which DistributedDataParallel cannot follow.
"""

import datetime
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import wait
from typing import Any, NoReturn, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from nnunetv2_tf.errors import UserError, run_command
from nnunetv2_tf.work import end_with_parent

PATIENCE = datetime.timedelta(hours=4)  # for others, which may be checking many scans
LINGER = 10.0  # seconds
STOPPED = 2  # exit code of those whose leader could not begin

Value = TypeVar("Value")


@dataclass(frozen=True)
class Team:
    """Which of several processes this is. The first one leads: it alone writes and speaks."""

    rank: int = 0
    size: int = 1
    local: int = 1  # on this machine

    @property
    def leads(self) -> bool:
        """Whether it is the first."""
        return self.rank == 0

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """The others wait until the leader is through, and end where something stops it, which it says alone."""
        if not self.leads:
            if not self.told(None):
                raise SystemExit(STOPPED)
            yield
            return
        try:
            yield
        except BaseException:
            self.told(False)
            raise
        self.told(True)

    def told(self, value: Value | None) -> Value:
        """What the leader gives; the others give None."""
        if self.size == 1:
            assert value is not None
            return value
        box: list[Any] = [value]
        dist.broadcast_object_list(box)
        return box[0]

    def mean(self, values: Mapping[str, Tensor]) -> dict[str, float]:
        """Means of scalars over all processes."""
        found = torch.stack([value.double() for value in values.values()])
        if self.size > 1:
            dist.all_reduce(found)
        return dict(zip(values, (found / self.size).tolist(), strict=True))

    def average_gradients(self, weights: Iterable[nn.Parameter]) -> None:
        """As if one process had seen the whole batch. All have to have gradients for the same weights."""
        if self.size == 1:
            return
        gradients: list[Tensor] = [weight.grad for weight in weights if weight.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.size
        for gradient, mean in zip(gradients, flat.split([one.numel() for one in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))


def is_member() -> bool:
    """Whether this process was started as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def check_gpus(number: int, device: torch.device) -> None:
    """Raises when so many processes of this machine cannot have one each."""
    if device.type == "cuda" and number > torch.cuda.device_count():
        raise UserError(f"There are {torch.cuda.device_count()} GPUs here, not {number}; take a smaller -num_gpus.")


@contextmanager
def joined(device: torch.device) -> Iterator[tuple[Team, torch.device]]:
    """The team that this process belongs to, and its own device; a team of one where it was started alone.

    A member that fails says why and ends at once: to leave in order is to wait for members that wait for this one.
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
        if not team.leads:
            time.sleep(LINGER)  # what stopped the leader stops this one too; the leader says it, and ends this one
        _leave(error)
    dist.barrier()
    dist.destroy_process_group()


def _leave(error: BaseException) -> NoReturn:
    """Says what is to be said, as a command would, and ends the process."""

    def again() -> None:
        raise error

    try:
        code = run_command(again)
    except SystemExit as wanted:
        code = wanted.code if isinstance(wanted.code, int) else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def launch(number: int, command: Callable[..., int | None], *arguments: Any) -> int:
    """Runs command(*arguments) in as many processes of this machine, one team; returns the leader's exit code.

    When one fails, the others are ended.
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
            for member in [one for one in running if one.sentinel in ended]:
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
    leader = codes[0] or 0
    return leader if leader > 0 else int(any(codes))


def _member(rank: int, number: int, port: int, command: Callable[..., int | None], arguments: tuple[Any, ...]) -> None:
    end_with_parent()
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": str(rank), "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(number), "LOCAL_WORLD_SIZE": str(number),
    }  # fmt: skip
    sys.exit(run_command(lambda: command(*arguments)))
