"""The one exception for what a user can mend, and how a command ends with it."""

import errno
import sys
from collections.abc import Callable


class UserError(Exception):
    """One sentence (or two): which file, what is wrong with it, what to do. Becomes exit code 2."""


def run_command(command: Callable[[], int | None]) -> int:
    """Runs a console command; returns its exit code: what it returns, or 2 after printing the sentence of a UserError.

    A full disk and a missing permission are the user's to mend as well; every other exception is our bug and keeps
    its traceback.
    """
    try:
        return command() or 0
    except UserError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted; run the same command again to continue.", file=sys.stderr)
        return 130
    except OSError as error:
        sentence = _SENTENCES.get(error.errno or 0)
        if sentence is None:
            raise
        print(f"Error: {error.filename or 'The target folder'}: {sentence}", file=sys.stderr)
        return 2


_FULL = "no space is left on this disk; free some and run the same command again, nothing is lost."
_SENTENCES = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: "the file would be larger than this system allows (ulimit -f); raise the limit and run again.",
    errno.EMFILE: "this system allows no more open files (ulimit -n); raise the limit or use a smaller -np.",
    errno.EACCES: "you may not read or write here; change the permissions or choose another folder.",
    errno.EPERM: "you may not read or write here; change the permissions or choose another folder.",
    errno.ENOTDIR: "a part of this path is a file and no folder; correct the path.",
    errno.EEXIST: "something else of this name is there already; move it away or choose another name.",
    errno.ENAMETOOLONG: "this name is too long for a file; choose a shorter one.",
    errno.EROFS: "this file system is read-only; choose another folder.",
}
