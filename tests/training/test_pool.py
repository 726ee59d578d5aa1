"""Pools: which pieces an epoch uses, who makes them, and how much is kept."""

import shutil
from collections import Counter
from unittest.mock import Mock

import numpy as np
import pytest

from nnunetv2_tf.training.pool import NOT_KEPT, TOO_LARGE, Pool, PoolFolder

made: Counter[int] = Counter()


def piece(number: int) -> dict[str, np.ndarray]:
    made[number] += 1
    return {"number": np.array(number), "noise": np.random.default_rng(number).normal(size=100)}


@pytest.fixture(autouse=True)
def _nothing_made():
    made.clear()


def numbers(pool: Pool, epoch: int) -> set[int]:
    rng = np.random.default_rng(epoch)
    return {int(pool.draw(epoch, rng, 0)["number"]) for _ in range(200)}


def test_a_window_moves_on_from_epoch_to_epoch(tmp_path):
    pool = Pool(piece, 5, 2, PoolFolder(tmp_path, "source"))
    assert [numbers(pool, epoch) for epoch in range(3)] == [{0, 1, 2, 3, 4}, {2, 3, 4, 5, 6}, {4, 5, 6, 7, 8}]
    assert max(made.values()) == 1
    pool.tidy(2)
    assert {int(path.stem) for path in tmp_path.iterdir()} == {4, 5, 6, 7, 8}


def test_without_renewal_nothing_is_deleted(tmp_path):
    pool = Pool(piece, 3, 0, PoolFolder(tmp_path, "source"))
    assert numbers(pool, 7) == {0, 1, 2}
    pool.tidy(7)
    assert len(list(tmp_path.iterdir())) == 3


def test_without_a_size_each_piece_is_used_once_and_none_is_kept(tmp_path):
    pool = Pool(piece, None, 0, PoolFolder(tmp_path, "source"))
    assert [int(pool.draw(0, np.random.default_rng(0), turn)["number"]) for turn in (4, 9)] == [4, 9]
    assert not list(tmp_path.iterdir())


def test_pieces_from_another_source_are_made_anew(tmp_path):
    for source in ("one", "two", "two"):
        assert int(Pool(piece, 3, 0, PoolFolder(tmp_path, source))[1]["number"]) == 1
    assert made[1] == 2


@pytest.mark.parametrize("processes", [1, 2])
def test_filling_makes_what_is_missing_in_order(processes, tmp_path):
    pool = Pool(piece, 4, 0, PoolFolder(tmp_path, "source"))
    pool[2]
    made.clear()
    assert [int(part["number"]) for part in pool.fill(processes, "Filling")] == [0, 1, 2, 3]
    assert 2 not in made
    assert len(list(tmp_path.iterdir())) == 4


def test_its_size_is_said(tmp_path, monkeypatch):
    (line,) = Pool(piece, 4, 1, PoolFolder(tmp_path, "source")).described("sites")
    assert line.startswith("sites: 4, 1 new ones an epoch, about 0.00 GB in ")
    assert Pool(piece, 4, 1).described("sites") == ["sites: made anew for each use"]
    Pool(piece, 4, 1, PoolFolder(tmp_path, "source"))[7]
    (tmp_path / f"{0:07d}.kept").unlink()
    Pool(piece, 4, 1, PoolFolder(tmp_path, "source")).described("sites")
    assert [path.stem for path in tmp_path.iterdir()] == ["0000007"]  # any piece tells how large they are
    (tmp_path / "file").touch()
    without = Pool(piece, 4, 1, PoolFolder(tmp_path / "file" / "x", "source")).described("sites")
    assert without == ["sites: 4, 1 new ones an epoch", NOT_KEPT]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Mock(free=100))
    assert Pool(piece, 4, 1, PoolFolder(tmp_path, "source")).described("sites")[1:] == [TOO_LARGE]
