"""Errors that a user can mend, and how commands end with them. In: a command. Out: its exit code."""

import errno
import sys
from collections.abc import Callable

from nnunetv2_tf.io.nnunet_version import remark_on_nnunet


class UserError(Exception):
    """An error that the user can mend; commands end with exit code 2.

    The text says in a sentence or two which file, what is wrong with it, and what to do.
    """


def run_command(command: Callable[[], int | None]) -> int:
    """Run a console command and return its exit code: what it returns, or 2 after printing the text of a UserError.

    A full disk and a missing permission are the user's to mend as well; every other exception is a bug of this package
    and keeps its traceback.
    """
    remark = remark_on_nnunet()
    if remark:
        print(f"WARNING: {remark}", file=sys.stderr)
    try:
        return command() or 0
    except KeyboardInterrupt:
        print("Interrupted; run the same command again to continue.", file=sys.stderr)
        return 130
    except (UserError, OSError) as error:
        sentence = sentence_of(error)
        if sentence is None:
            raise
        print(f"Error: {sentence}", file=sys.stderr)
        return 2


def sentence_of(error: UserError | OSError) -> str | None:
    """Return what is said of an error that the user can mend; None for others."""
    return system_error(error) if isinstance(error, OSError) else str(error)


def system_error(error: OSError) -> str | None:
    """Return what to do about an error of the system that the user can mend; None for others."""
    sentence = _SENTENCES.get(error.errno or 0)
    return None if sentence is None else f"{error.filename or 'The target folder'}: {sentence}"


_FULL = "no space is left on this disk; free some and run the same command again, nothing is lost."
_SENTENCES = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EIO: "the disk fails to read or write here; have it looked at, then run the same command again: what was "
    "finished is kept.",
    errno.EFBIG: "the file would be larger than this system allows (ulimit -f); raise the limit and run again.",
    errno.EMFILE: "this system allows no more open files (ulimit -n); raise the limit or use a smaller -np.",
    errno.EACCES: "you may not read or write here; change the permissions or choose another folder.",
    errno.EPERM: "you may not read or write here; change the permissions or choose another folder.",
    **dict.fromkeys(
        (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP),
        "this file system has no locks (flock), which keep two processes from writing the same files; put nnU-Net's "
        "folders on one that has, or ask whoever runs it for the mount option.",
    ),
    errno.EISDIR: "this is a folder, and a file is wanted; correct the path.",
    errno.ENOTDIR: "a part of this path is a file and no folder; correct the path.",
    errno.EEXIST: "something else of this name is there already; move it away or choose another name.",
    errno.ENAMETOOLONG: "this name is too long for a file; choose a shorter one.",
    errno.EROFS: "this file system is read-only; choose another folder.",
}
