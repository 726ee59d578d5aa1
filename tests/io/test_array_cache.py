"""What is kept: once per source, never more than the limit, and never needed."""

import os

import numpy as np
import pytest

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


def test_what_nobody_asked_for_the_longest_goes_first(tmp_path):
    cache = ArrayCache(tmp_path, 50e-6)  # 50 kB
    for index in range(4):
        cache.get(f"host{index}", "source", Counting(10_000))
        os.utime(tmp_path / f"host{index}.kept", (index, index))
    cache.get("host0", "source", Counting())  # asked for again
    (tmp_path / "of somebody else").write_bytes(bytes(60_000))
    cache.get("host4", "source", Counting(10_000))
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {"host0.kept", "host2.kept", "host3.kept", "host4.kept", "of somebody else"}


def test_a_full_disk_is_said_once_and_changes_nothing(tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(array_cache, "write_arrays", full)
    cache, compute = ArrayCache(tmp_path / "disk", 1.0), Counting()
    for _ in range(3):
        assert len(cache.get("host", "source", compute)["noise"]) == 1000
    assert compute.times == 3
    said = capsys.readouterr().out
    assert said.count("Nothing can be kept in") == 1
    assert "No space left on device" in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_that_cannot_be_written_to_changes_nothing(tmp_path):
    tmp_path.chmod(0o500)
    assert len(ArrayCache(tmp_path / "kept", 1.0).get("host", "source", Counting())["noise"]) == 1000


def test_what_a_killed_process_left_is_no_entry(tmp_path):
    """Entries are written beside their place first: half of one is never found."""
    (tmp_path / ".host.kept.machine.1.tmp").write_bytes(b"half an entry")
    compute = Counting()
    ArrayCache(tmp_path, 1.0).get("host", "source", compute)
    assert compute.times == 1


def test_clearing_frees_all_of_it(tmp_path):
    ArrayCache(tmp_path / "kept", 1.0).get("host", "source", Counting(10_000))
    assert clear(tmp_path / "kept") > 10_000
    assert not (tmp_path / "kept").exists()
    assert clear(tmp_path / "kept") == 0
