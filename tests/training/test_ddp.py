"""Processes that train together: real ones, over gloo."""

import json
import time
from pathlib import Path

import torch
from torch import nn

from nnunetv2_tf.training.ddp import Team, is_member, joined, launch

CPU = torch.device("cpu")


def test_alone():
    assert not is_member()
    with joined(CPU) as (team, device):
        assert team == Team(0, 1)
        assert device == CPU
        with team.leader_first():
            assert team.told("it") == "it"
        assert team.mean({"loss": torch.tensor(3.0)}) == {"loss": 3.0}
        weight = nn.Parameter(torch.ones(2))
        weight.sum().backward()
        team.average_gradients([weight])
        assert weight.grad is not None
        assert weight.grad.tolist() == [1, 1]


def meeting(folder: Path) -> int:
    """Each writes what it knows."""
    with joined(CPU) as (team, _):
        with team.leader_first():
            first = (folder / "here").exists()
            (folder / "here").touch()
        told = team.told({"epoch": 7} if team.leads else None)
        first_weight, second = nn.Parameter(torch.ones(2, 3)), nn.Parameter(torch.ones(4))
        ((first_weight * (team.rank + 1)).sum() + (second * 10 * team.rank).sum()).backward()
        team.average_gradients([first_weight, nn.Parameter(torch.ones(1)), second])
        gradients = [weight.grad for weight in (first_weight, second)]
        found = {
            "first": first, "told": told, "size": team.size, "local": team.local, "leads": team.leads,
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


def failing(folder: Path) -> int:
    """The leader has something to say; the other would wait for ever."""
    with joined(CPU) as (team, _):
        if team.leads:
            return 2
        (folder / "waiting").touch()
        time.sleep(100)
    return 0


def test_when_one_ends_all_do(tmp_path):
    assert launch(2, failing, tmp_path) == 2
