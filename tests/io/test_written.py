"""What counts as done: size and digest."""

import errno
import os

import pytest

from nnunetv2_tf.io import files
from nnunetv2_tf.io.files import put_in_place, whole_file
from nnunetv2_tf.io.written import Written, are_whole, record_of

REAL_FSYNC = os.fsync  # tests/conftest.py replaces it


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is waited for, and renamed, in order."""
    done: list[str] = []
    sync, swap = files._sync, files._replace
    monkeypatch.setattr(files, "_sync", lambda path: (done.append(f"sync {path.name}"), sync(path)))
    monkeypatch.setattr(files, "_replace", lambda old, new: (done.append(f"replace {new.name}"), swap(old, new)))
    monkeypatch.setattr(os, "fsync", REAL_FSYNC)
    return done


def test_a_file_is_on_the_disk_before_it_has_its_name_and_its_name_before_it_counts(tmp_path, synced):
    with whole_file(tmp_path / "a.txt") as temporary:
        temporary.write_bytes(b"a")
    assert synced == [f"sync {temporary.name}", "replace a.txt", f"sync {tmp_path.name}"]


def test_a_folder_is_on_the_disk_with_all_that_is_in_it(tmp_path, synced):
    (tmp_path / "new" / "inner").mkdir(parents=True)
    (tmp_path / "new" / "inner" / "b").write_bytes(b"b")
    put_in_place(tmp_path / "new", tmp_path / "there")
    assert synced == ["sync new", "sync b", "sync inner", "replace there", f"sync {tmp_path.name}"]
    assert (tmp_path / "there" / "inner" / "b").read_bytes() == b"b"


def test_what_is_checked_when_it_is_read_does_not_wait(tmp_path, synced):
    with whole_file(tmp_path / "a", lasting=False) as temporary:
        temporary.write_bytes(b"a")
    assert synced == ["replace a"]


def test_a_disk_that_fails_to_sync_leaves_the_old_file(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"old")

    def fail(file: int) -> None:
        raise OSError(errno.EIO, "no luck")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no luck") as caught, whole_file(tmp_path / "a") as temporary:
        temporary.write_bytes(b"new")
    assert caught.value.filename == str(temporary)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_folders_of_file_systems_that_sync_none_are_left_alone(tmp_path, monkeypatch):
    def only_files(file: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{file}"):
            raise OSError(errno.EINVAL, "not here")

    monkeypatch.setattr(os, "fsync", only_files)
    with whole_file(tmp_path / "a") as temporary:
        temporary.write_bytes(b"a")
    assert (tmp_path / "a").read_bytes() == b"a"


@pytest.mark.parametrize(
    ("change", "by_size", "by_digest"), [(b"abcd", True, True), (b"abcx", True, False), (b"", False, False)]
)
def test_a_file_is_whole_if_it_is_what_was_written(tmp_path, change, by_size, by_digest):
    path = tmp_path / "sub" / "a"
    path.parent.mkdir()
    path.write_bytes(b"abcd")
    record = record_of(tmp_path, [path])
    assert record == {"sub/a": Written(4, Written.of(path).sha256)}
    path.write_bytes(change)
    os.utime(path, ns=(1, 1))  # the digest is kept by time and size
    assert are_whole(tmp_path, [path], record, by_digest=False) == by_size
    assert are_whole(tmp_path, [path], record) == by_digest
    path.unlink()
    assert not are_whole(tmp_path, [path], record, by_digest=False)


def test_a_record_is_of_just_these_files_or_of_none(tmp_path):
    paths = [tmp_path / "a", tmp_path / "b"]
    for path in paths:
        path.write_bytes(b"abcd")
    record = record_of(tmp_path, paths)
    assert are_whole(tmp_path, paths, record)
    assert are_whole(tmp_path, paths, {})  # of before there were records
    assert not are_whole(tmp_path, paths, record_of(tmp_path, paths[:1]))
    assert not are_whole(tmp_path, paths[:1], record)
    assert not are_whole(tmp_path, paths[:1], {"../b": record["b"]})
