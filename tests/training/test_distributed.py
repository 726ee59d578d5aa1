"""Processes that train together: real ones, over gloo."""

import errno
import json
import os
import signal
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.training.distributed import Team, is_member, joined, launch

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")


def test_alone():
    assert not is_member()
    with joined(CPU) as (team, device):
        assert team == Team(0, 1)
        assert device == CPU
        with team.main_first():
            assert team.broadcast("it") == "it"
        assert team.mean({"loss": torch.tensor(3.0)}) == {"loss": 3.0}
        weight = nn.Parameter(torch.ones(2))
        weight.sum().backward()
        team.average_gradients([weight])
        assert weight.grad is not None
        assert weight.grad.tolist() == [1, 1]


def meeting(folder: Path) -> int:
    """Each writes what it knows."""
    with joined(CPU) as (team, _):
        with team.main_first():
            first = (folder / "here").exists()
            (folder / "here").touch()
        told = team.broadcast({"epoch": 7} if team.is_main else None)
        first_weight, second = nn.Parameter(torch.ones(2, 3)), nn.Parameter(torch.ones(4))
        ((first_weight * (team.rank + 1)).sum() + (second * 10 * team.rank).sum()).backward()
        team.average_gradients([first_weight, nn.Parameter(torch.ones(1)), second])
        gradients = [weight.grad for weight in (first_weight, second)]
        found = {
            "first": first, "told": told, "size": team.size, "local": team.local, "leads": team.is_main,
            "mean": team.mean({"a": torch.tensor(team.rank), "b": torch.tensor(1.0)}),
            "gradients": [one.tolist() for one in gradients if one is not None],
        }  # fmt: skip
        (folder / f"{team.rank}.json").write_text(json.dumps(found))
    return 0


def test_two_together(tmp_path):
    assert launch(2, meeting, tmp_path) == 0
    one, other = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert (one.pop("first"), other.pop("first")) == (False, True)
    assert (one.pop("leads"), other.pop("leads")) == (True, False)
    assert one == other
    assert one == {
        "told": {"epoch": 7}, "size": 2, "local": 2, "mean": {"a": 0.5, "b": 1.0},
        "gradients": [[[1.5] * 3] * 2, [5.0] * 4],
    }  # fmt: skip


def stopped(folder: Path) -> int:
    """The leader has something to say before the others are let in."""
    with joined(CPU) as (team, _), team.main_first():
        if team.is_main:
            raise UserError("This dataset is damaged; replace it.")
        (folder / "in").touch()
    return 0


def broken(folder: Path) -> int:
    """A disk is full for the leader while the other waits for it."""
    with joined(CPU) as (team, _):
        if team.is_main:
            raise OSError(errno.ENOSPC, "full", "checkpoint")
        (folder / "waiting").touch()
        team.broadcast(None)
    return 0


def killed(folder: Path) -> int:
    """The other one runs out of memory."""
    with joined(CPU) as (team, _):
        (folder / f"{team.rank}").touch()
        if not team.is_main:
            os.kill(os.getpid(), signal.SIGKILL)
        team.broadcast(None)
    return 0


@pytest.mark.parametrize(
    ("command", "code", "sentence"),
    [
        (stopped, 2, "Error: This dataset is damaged; replace it.\n"),
        (broken, 2, "Error: checkpoint: no space is left on this disk"),
        (killed, 1, "Error: process 1 of 2 was killed (signal 9)"),
    ],
)
def test_when_one_ends_all_do_and_one_sentence_says_why(tmp_path, capfd, command, code, sentence):
    start = time.monotonic()
    assert launch(2, command, tmp_path) == code
    assert time.monotonic() - start < 60
    said = capfd.readouterr().err
    assert said.count(sentence) == 1
    assert command is killed or "Traceback" not in said  # whoever waits for a killed one may say that it is gone
    assert not (tmp_path / "in").exists()
