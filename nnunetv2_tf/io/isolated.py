"""A function in a process of its own, with little memory and time. In: a function. Out: its result, or a sentence.

For readers that are written in C and get files from anywhere: what crashes, hangs or wants all memory ends there.
"""

import math
import sys
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.workers import end_with_parent

Result = TypeVar("Result")
MEMORY = 8  # GiB of addresses, on systems that can limit them
SECONDS = 300.0


def isolated(function: Callable[..., Result], *arguments: Any, what: str, seconds: float = SECONDS) -> Result:
    """Return function(*arguments), computed in a new process; raise when that takes too long, too much, or crashes.

    Args:
        function: of a module, so that the new process finds it
        arguments: for it
        what: is read, for the message
        seconds: after which it is given up
    """
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(sender, function, arguments, seconds), daemon=True)
    process.start()
    sender.close()
    try:
        if not receiver.poll(seconds):
            raise UserError(f"{what} was not read within {seconds:g} s; replace it, or leave it out.")
        result, error = receiver.recv()
    except EOFError:
        raise UserError(f"{what} crashes the library that reads it; replace it, or leave it out.") from None
    finally:
        process.kill()
        process.join()
        receiver.close()
    if isinstance(error, MemoryError):
        raise UserError(f"{what} asks for more than {MEMORY} GiB of memory; replace it, or leave it out.") from None
    if error is not None:
        raise error
    return result


def _work(
    sender: Connection, function: Callable[..., Any], arguments: tuple[Any, ...], seconds: float
) -> None:  # fmt: skip
    end_with_parent()
    _limit(seconds)
    try:
        sender.send((function(*arguments), None))
    except Exception as error:  # the caller decides; also where the result has no room twice
        sender.send((None, error))


def _limit(seconds: float) -> None:
    """Limit the memory of this process, and its processor time."""
    if sys.platform != "linux":
        return
    import resource

    for kind, wanted in ((resource.RLIMIT_AS, MEMORY << 30), (resource.RLIMIT_CPU, math.ceil(seconds) + 1)):
        _, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
