"""A pool holds what seed and epoch say, and is renewed in time."""

import errno
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import remove_unlocked
from nnunetv2_tf.online import case_pool
from nnunetv2_tf.online.case_pool import PooledCases, PoolKeeper
from nnunetv2_tf.online.case_source import FAR
from nnunetv2_tf.online.made_case import MadeCase


@dataclass(frozen=True)
class Numbered:
    """Makes cases that are full of their number."""

    def make(self, line: int) -> MadeCase:
        if line == 13:
            raise UserError("no tumour fits")
        if line == 12:
            raise OSError(errno.ENOSPC, "full")
        image = np.full((1, 2, 3, 4), line, np.float32)
        return MadeCase(
            line + FAR if line == 3 else line, "host", ("one", "other"), image, np.ones((1, 2, 3, 4), np.int16)
        )


@pytest.fixture
def cases(tmp_path: Path) -> PooledCases:
    return PooledCases(tmp_path / "trainer" / "fold_0", "made so", size=4, anew=2)


def there(cases: PooledCases) -> list[int]:
    return sorted(int(path.stem) for path in cases.folder.iterdir())


def test_what_is_written_is_read_again_unless_it_was_made_otherwise(cases: PooledCases):
    cases.write(3, Numbered().make(3))
    case = cases.read(3)
    assert case is not None
    assert (case.line, case.host, case.donors) == (3 + FAR, "host", ("one", "other"))  # another line in its stead
    assert np.array_equal(case.image, Numbered().make(3).image)
    assert np.array_equal(case.seg, Numbered().make(3).seg)
    assert cases.read(4) is None
    assert PooledCases(cases.folder, "made otherwise").read(3) is None


def test_it_is_renewed_from_epoch_to_epoch(cases: PooledCases, capsys):
    maker: Any = Numbered()
    keeper = PoolKeeper(cases, maker, epochs=3)
    assert keeper.fill(0) == 4
    assert there(cases) == [0, 1, 2, 3]
    keeper.begin_next(0)
    said = keeper.wait()
    assert said.startswith("Pool: 2 cases made anew (training ")
    assert said.endswith("), 2 used again.")
    assert there(cases) == [0, 1, 2, 3, 4, 5]
    keeper.begin_next(1)
    assert there(cases)[0] == 2  # no batch needs the others any more
    keeper.wait()
    keeper.begin_next(2)
    assert keeper.wait() == ""  # it was the last epoch
    assert there(cases) == [4, 5, 6, 7]
    (cases.folder / ".00000004.case.elsewhere.1.tmp").touch()  # of a job that was killed
    keeper.close(remove=True)
    assert not cases.folder.parent.exists()


def test_a_training_that_goes_on_makes_only_what_is_missing(cases: PooledCases):
    for damaged, made in ((False, 4), (True, 2)):
        if damaged:
            cases.path(6).unlink()
            cases.path(5).write_bytes(cases.path(5).read_bytes()[:-3])
        maker: Any = Numbered()
        keeper = PoolKeeper(cases, maker, 9)
        assert keeper.fill(2) == made
        keeper.close(remove=False)


def test_cases_are_drawn_from_the_epochs_own(cases: PooledCases):
    for line in range(8):
        cases.write(line, Numbered().make(line))
    np.random.seed(0)
    assert {cases.case(1, 0).line for _ in range(60)} == {2, 3 + FAR, 4, 5}


@pytest.mark.parametrize(("first", "kind", "said"), [(13, UserError, "no tumour fits"), (12, OSError, "full")])
def test_what_goes_wrong_beside_the_training_is_said(cases: PooledCases, first, kind, said):
    maker: Any = Numbered()
    keeper = PoolKeeper(PooledCases(cases.folder, "made so", size=1, anew=first), maker, epochs=2)
    keeper.fill(0)
    keeper.begin_next(0)
    with pytest.raises(kind, match=said):
        keeper.wait()
    keeper.close(remove=False)


def test_two_trainings_do_not_share_it(cases: PooledCases, monkeypatch):
    """The second one waits; here it gives up."""
    maker: Any = Numbered()
    keeper = PoolKeeper(cases, maker, 9)

    def impatient(*_: Any) -> None:
        raise TimeoutError

    monkeypatch.setattr("nnunetv2_tf.io.files.time.sleep", impatient)
    with pytest.raises(TimeoutError):
        PoolKeeper(cases, maker, 9)
    keeper.close(remove=False)


def test_what_is_paused_is_waited_for(cases: PooledCases, monkeypatch):
    """Clocks go on meanwhile."""
    monkeypatch.setattr(case_pool.time, "monotonic", itertools.count(0, 10_000).__next__)
    monkeypatch.setattr(case_pool.time, "sleep", lambda _: cases.write(0, Numbered().make(0)))
    assert cases.wait_for(0).line == 0


def test_a_case_that_never_comes_is_not_waited_for_for_ever(cases: PooledCases, monkeypatch):
    monkeypatch.setattr(case_pool, "PATIENCE", 0.2)
    with pytest.raises(UserError, match=r"00000000\.case was waited for"):
        cases.wait_for(0)


def test_only_pools_that_no_training_holds_are_cleared_away(cases: PooledCases):
    maker: Any = Numbered()
    keeper = PoolKeeper(cases, maker, 9)
    keeper.fill(0)
    assert remove_unlocked(cases.folder) == 0
    assert there(cases) == [0, 1, 2, 3]
    size = sum(path.stat().st_size for path in cases.folder.iterdir())
    keeper.close(remove=False)
    assert remove_unlocked(cases.folder) == size > 0
    assert not cases.folder.parent.exists()
