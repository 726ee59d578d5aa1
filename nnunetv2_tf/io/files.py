"""Files that are written whole or not at all, scratch folders, locks. In: paths and JSON values. Out: files, values."""

import errno
import glob
import gzip
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.processes import process_numbers, runs

POLL = 0.2  # seconds between two attempts to take a lock
UNSYNCED = (errno.EINVAL, errno.ENOTSUP)  # of file systems, often remote ones, that cannot be asked to


@contextmanager
def whole_file(path: Path, lasting: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path` to write to; it replaces `path` only when all went well.

    Temporary files that killed processes on this machine left behind for the same path are removed.

    Args:
        path: of the file
        lasting: wait until it is on the disk itself; not worth its milliseconds for what is checked when it is read
    """
    prefix = f".{path.name}.{platform.node()}.{process_numbers()}."
    temporary = path.with_name(f"{prefix}{os.getpid()}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f"{glob.escape(prefix)}*.tmp*"):
        writer = left.name.removeprefix(prefix).split(".")[0]
        if writer.isdigit() and not runs(int(writer)):
            left.unlink(missing_ok=True)
    try:
        yield temporary
        if lasting:
            put_in_place(temporary, path)
        else:
            _replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def library_file(path: Path, *raised: type[Exception], ending: str = "") -> Iterator[Path]:
    """Yield a temporary path for a library that writes files itself, and explains a full disk in its own way.

    Args:
        path: of the file, which appears whole or not at all
        raised: what the library raises where it cannot write
        ending: of the temporary path, for libraries that take the format from it
    """
    with whole_file(path) as temporary:
        named = temporary.with_name(temporary.name + ending)
        try:
            yield named
            if ending:
                named.replace(temporary)
        except raised:
            raise UserError(f"{path} could not be written; is the disk full? Make room and run this again.") from None
        finally:
            if ending:
                named.unlink(missing_ok=True)


def save_torch(state: Any, path: Path) -> None:
    """Write what torch.save saves, whole or not at all, and the same bytes whatever the temporary file is called."""
    import torch

    with library_file(path, RuntimeError) as temporary, temporary.open("wb") as file:
        torch.save(state, file)


@contextmanager
def gzip_file(path: Path, level: int) -> Iterator[gzip.GzipFile]:
    """Open a .gz file to write to; its bytes depend on the content only, not on its name, time or Python's version."""
    with open(path, "wb") as packed, gzip.GzipFile("", "wb", level, packed, mtime=0) as file:
        yield file


def put_in_place(finished: Path, path: Path) -> None:
    """Let a finished file, or a folder with all in it, take the place of `path`, for good.

    All of it is on the disk before it is there under its name, and the name is on the disk before this returns, so
    that neither a kill nor a power cut leaves an empty or a half file that looks finished.
    """
    for folder, _, names in os.walk(finished):
        for file in (Path(folder, name) for name in names):
            if not file.is_symlink():  # whose file is somebody else's
                _sync(file)
        _sync(Path(folder))
    if not finished.is_dir():
        _sync(finished)
    _replace(finished, path)
    _sync(path.parent)


def _replace(finished: Path, path: Path) -> None:
    os.replace(finished, path)


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk itself."""
    is_folder = path.is_dir()
    if is_folder and os.name != "posix":  # Windows syncs files only
        return
    file = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno not in UNSYNCED:
            raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(file)


def remove_at_once(folder: Path) -> None:
    """Delete a folder, if it is there, under another name first: a kill leaves nothing half-deleted in its place."""
    going = folder.with_name(f".{folder.name}.going")
    shutil.rmtree(going, ignore_errors=True)
    if folder.exists():
        folder.rename(going)
        shutil.rmtree(going)


def remove_unlocked(folder: Path) -> int:
    """Delete a folder unless a process holds its lock, and its parent if that is empty then; return the bytes freed."""
    try:
        with locked(folder.with_suffix(".lock"), str(folder), stopped=lambda: True):
            freed = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            shutil.rmtree(folder)
    except UserError:
        return 0
    remove_if_empty(folder.parent)
    return freed


def remove_if_empty(folder: Path) -> None:
    """Delete a folder that holds nothing."""
    with suppress(OSError):
        folder.rmdir()


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """Yield the empty folder `path`; leftovers are deleted before, the folder with its content afterwards."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def locked(path: Path, what: str, stopped: Callable[[], bool] = lambda: False) -> Iterator[tuple[int, ...]]:
    """Hold the lock file `path`; wait, and say so, while another process holds it. A killed process holds no lock.

    Yield the file descriptor of the lock: a process that inherits it holds the lock too. On systems without fcntl
    (Windows) there is no lock, and no descriptor.

    Args:
        path: the lock file
        what: what is locked, for the message
        stopped: called while waiting; True means to give up
    """
    try:
        import fcntl
    except ImportError:
        yield ()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    said = False
    while True:
        file = os.open(path, os.O_CREAT | os.O_RDWR)
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if stopped():
                    os.close(file)
                    raise UserError(f"Stopped while waiting for another process that works on {what}.") from None
                if not said:
                    print(f"Waiting: another process works on {what}.", flush=True)
                said = True
                time.sleep(POLL)
            except OSError as error:
                os.close(file)
                raise OSError(error.errno, error.strerror, str(path)) from None
        if path.exists() and os.path.samestat(os.fstat(file), path.stat()):
            break
        os.close(file)  # its last holder has deleted it; lock the new file of this name
    try:
        yield (file,)
    finally:
        path.unlink(missing_ok=True)
        os.close(file)


def is_one_name(text: str) -> bool:
    """Return whether a text can name one file: a name that comes from a file must never be a path."""
    return text not in ("", ".", "..") and not {"/", "\\", "\0"} & set(text)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path, cure: str) -> Any:
    """Read a JSON file. `cure` ends the error message when it is missing or broken: what the user should do."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; {cure}") from None
    except (IsADirectoryError, NotADirectoryError):
        raise UserError(f"{path} is not a file; {cure}") from None
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error}); {cure}") from None
