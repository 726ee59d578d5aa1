"""What is kept: once per source, within the limit, and never needed."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from nnunetv2_tf.io import array_cache
from nnunetv2_tf.io.array_cache import ArrayCache, clear


class Counting:
    """Computes arrays of so many bytes, and counts how often."""

    def __init__(self, size: int = 1000) -> None:
        self.size, self.times = size, 0

    def __call__(self):
        self.times += 1
        return {"noise": np.random.default_rng(self.times).integers(0, 256, self.size).astype(np.uint8)}


def test_computed_once_per_source(tmp_path):
    cache, compute = ArrayCache(tmp_path / "kept", 1.0), Counting()
    first, second = (cache.get("host", "source", compute)["noise"] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert compute.times == 1
    cache.get("host", "other", compute)  # its arrays have changed
    assert compute.times == 2
    cache.get("host", "source", compute)  # the newer entry took the place of this one
    assert compute.times == 3
    assert len(list((tmp_path / "kept").iterdir())) == 1


def test_nothing_is_kept_with_a_limit_of_0(tmp_path):
    cache, compute = ArrayCache(tmp_path / "kept", 0), Counting()
    for _ in range(2):
        cache.get("host", "source", compute)
    assert compute.times == 2
    assert not (tmp_path / "kept").exists()


def test_when_it_is_full_what_is_there_stays(tmp_path, capsys):
    """Asked for in the same order, as methods ask that share a recipe."""
    cache, computes = ArrayCache(tmp_path, 100e-6), [Counting(10_000) for _ in range(15)]  # 100 kB
    (tmp_path / "of somebody else").write_bytes(bytes(200_000))
    for _ in range(3):
        for index, compute in enumerate(computes):
            cache.get(f"host{index}", "source", compute)
    assert [compute.times for compute in computes] == [1] * 10 + [3] * 5
    assert 100_000 <= sum(path.stat().st_size for path in tmp_path.glob("*.kept")) < 115_000
    assert capsys.readouterr().out.count("(it holds 0.0001 GB); going on without.") == 1


def test_what_nobody_asked_for_in_a_month_makes_room(tmp_path):
    cache = ArrayCache(tmp_path, 30e-6)
    for index in range(3):
        cache.get(f"host{index}", "source", Counting(10_000))
        os.utime(tmp_path / f"host{index}.kept", (1, 1))
    cache.get("host1", "source", Counting())  # asked for again
    cache.get("host3", "source", Counting(10_000))
    assert {path.name for path in tmp_path.iterdir()} == {"host1.kept", "host3.kept"}


def test_processes_write_the_same_entries_at_once(tmp_path):
    code = (
        "import sys; from pathlib import Path; import numpy as np; from nnunetv2_tf.io.array_cache import ArrayCache\n"
        "for i in range(60): ArrayCache(Path(sys.argv[1]), 1).get(f'e{i % 7}', sys.argv[2] + str(i), "
        "lambda: {'x': np.random.default_rng(i).normal(size=1250)})"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    running = [subprocess.Popen([*command, name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for name in "abcd"]
    for process in running:
        assert process.communicate()[0] == b""
        assert process.returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == {f"e{number}.kept" for number in range(7)}


def test_entries_may_vanish_while_they_are_counted(tmp_path, monkeypatch, capsys):
    """Another process deletes them, or a pool's epoch ends."""
    cache = ArrayCache(tmp_path, 1.0)
    for index in range(3):
        cache.get(f"host{index}", "source", Counting())
    stat = Path.stat

    def vanishing(path: Path, **options):
        if path.name == "host1.kept":
            path.unlink(missing_ok=True)
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", vanishing)
    cache.get("host3", "source", Counting())
    assert clear(tmp_path) > 2000
    assert capsys.readouterr().out == ""


def test_a_full_disk_is_said_once_and_changes_nothing(tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(array_cache, "write_arrays", full)
    cache, compute = ArrayCache(tmp_path / "disk", 1.0), Counting()
    for _ in range(3):
        assert len(cache.get("host", "source", compute)["noise"]) == 1000
    assert compute.times == 3
    said = capsys.readouterr().out
    assert said.count("Nothing more is kept in") == 1
    assert "No space left on device" in said


def test_a_folder_that_is_a_file_changes_nothing(tmp_path, capsys):
    (tmp_path / "kept").touch()
    cache = ArrayCache(tmp_path / "kept", 1.0)
    assert len(cache.get("host", "source", Counting())["noise"]) == 1000
    assert "Nothing more is kept in" in capsys.readouterr().out


def test_what_killed_processes_left_is_deleted_when_it_is_old(tmp_path):
    old, young = (tmp_path / f".host.kept.machine.{number}.tmp" for number in (1, 2))
    for path in (old, young):
        path.write_bytes(b"half an entry")
    os.utime(old, (1, 1))
    ArrayCache(tmp_path, 1.0).get("other", "source", Counting())
    assert not old.exists()
    assert young.exists()  # its process may be writing still


def test_clearing_frees_all_of_it(tmp_path):
    ArrayCache(tmp_path / "kept", 1.0).get("host", "source", Counting(10_000))
    assert clear(tmp_path / "kept") > 10_000
    assert not (tmp_path / "kept").exists()
    assert clear(tmp_path / "kept") == 0
