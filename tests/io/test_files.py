import errno
import gzip
import os
import platform
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from nnunetv2_tf.io.errors import UserError, system_error
from nnunetv2_tf.io.files import gzip_file, locked, read_json, save_torch, scratch_folder, whole_file, write_json
from nnunetv2_tf.io.parallel import Share, in_parallel
from nnunetv2_tf.io.processes import process_numbers


def test_a_file_is_replaced_whole_or_stays(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with whole_file(path) as temporary:
        temporary.write_text("one", encoding="utf-8")
    with pytest.raises(RuntimeError), whole_file(path) as temporary:
        temporary.write_text("half of tw", encoding="utf-8")
        raise RuntimeError
    assert path.read_text(encoding="utf-8") == "one"
    assert [entry.name for entry in path.parent.iterdir()] == ["file.txt"]


def test_a_scratch_folder_is_empty_before_and_gone_after(tmp_path):
    path = tmp_path / "scratch"
    path.mkdir()
    (path / "left over").touch()
    with scratch_folder(path) as scratch:
        assert list(scratch.iterdir()) == []
        (scratch / "x").touch()
    assert not path.exists()


def test_json_round_trip_and_its_errors(tmp_path):
    write_json(tmp_path / "a.json", {"é": [1, None]})
    assert read_json(tmp_path / "a.json", "") == {"é": [1, None]}
    with pytest.raises(UserError, match=r"b\.json does not exist; make it\."):
        read_json(tmp_path / "b.json", "make it.")
    (tmp_path / "c.json").write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match=r"c\.json is not valid JSON .*; mend it\."):
        read_json(tmp_path / "c.json", "mend it.")


def test_shares_are_everything_once():
    shares = [[index for index in range(10) if index in Share(3, part)] for part in range(3)]
    assert sorted(index for share in shares for index in share) == list(range(10))


def double(number: int) -> int:
    return 2 * number


def die(_: int) -> None:
    os._exit(1)


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_order(processes):
    assert list(in_parallel(double, range(5), processes, "Doubling")) == [0, 2, 4, 6, 8]


def test_a_killed_worker_is_explained():
    with pytest.raises(UserError, match="killed while dying, .* smaller -np than 2"):
        list(in_parallel(die, range(4), 2, "Dying"))


@pytest.mark.skipif(os.name != "posix", reason="no process numbers")
def test_what_a_killed_process_left_of_the_same_file_is_removed(tmp_path):
    path = tmp_path / "file.txt"
    program = (
        "import os, signal, sys; from pathlib import Path; from nnunetv2_tf.io.files import whole_file\n"
        "with whole_file(Path(sys.argv[1])) as t: t.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program, str(path)])
    (left,) = tmp_path.iterdir()
    living = tmp_path / f".file.txt.{platform.node()}.{process_numbers()}.{os.getpid()}.tmp.other"
    elsewhere = tmp_path / ".file.txt.elsewhere.1.tmp"
    for other in (living, elsewhere):
        other.touch()
    with whole_file(path) as temporary:
        temporary.write_text("whole", encoding="utf-8")
    assert not left.exists()
    assert {entry.name for entry in tmp_path.iterdir()} == {"file.txt", living.name, elsewhere.name}


WAITING = """
import os, sys, time
from nnunetv2_tf.io.parallel import in_parallel
from tests.io.test_files import note_and_wait
for _ in in_parallel(note_and_wait, [(sys.argv[1], 0), (sys.argv[1], 1)], 2, "Waiting"):
    pass
"""


def note_and_wait(item: tuple[str, int]) -> None:
    folder, index = item
    (Path(folder) / str(os.getpid())).touch()
    while len(os.listdir(folder)) < 2:
        time.sleep(0.05)
    time.sleep(600 * index)


@pytest.mark.skipif(os.name != "posix", reason="processes")
def test_workers_of_a_killed_command_end_too(tmp_path):
    """Whether they are at work or wait for some."""
    command = [sys.executable, "-c", WAITING, str(tmp_path)]
    parent = subprocess.Popen(command, cwd=Path(__file__).parent.parent.parent, stderr=subprocess.DEVNULL)
    while len(workers := [int(name) for name in os.listdir(tmp_path)]) < 2:
        assert parent.poll() is None
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{worker}").exists() and not is_zombie(worker) for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def is_zombie(process: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"
    return True


def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch):
    def flock(file: int, how: int) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", flock)
    with pytest.raises(OSError, match="not implemented") as caught, locked(tmp_path / "x.lock", "x"):
        pass
    assert (system_error(caught.value) or "").startswith(f"{tmp_path / 'x.lock'}: this file system has no locks")


def test_saved_weights_and_compressed_files_have_the_bytes_of_their_content(tmp_path):
    """Whatever they are called; a .gz file begins as gzip's own do, and not as this version of Python likes."""
    for name in ("a", "longer"):
        save_torch({"x": torch.arange(4), "y": [1, "z"]}, tmp_path / f"{name}.pth")
        with gzip_file(tmp_path / f"{name}.gz", 1) as file:
            file.write(b"content" * 100)
    assert (tmp_path / "a.pth").read_bytes() == (tmp_path / "longer.pth").read_bytes()
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "longer.gz").read_bytes()
    assert (tmp_path / "a.gz").read_bytes()[:10] == bytes([31, 139, 8, 0, 0, 0, 0, 0, 4, 255])
    assert gzip.decompress((tmp_path / "a.gz").read_bytes()) == b"content" * 100
    assert torch.load(tmp_path / "a.pth")["x"].tolist() == [0, 1, 2, 3]
