"""The loop with a learner that is easily followed: a weight that is drawn towards the batches' mean."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.training import loop
from nnunetv2_tf.training.distributed import joined, launch
from nnunetv2_tf.training.loop import FINAL, LATEST, Loop, Schedule
from nnunetv2_tf.training.precision import Acceleration

pytestmark = pytest.mark.slow

SCHEDULE = Schedule(epochs=4, steps=3, preview_every=2, groups={"loss": ["loss"], "rate": ["rate"]})


class WeightLearner:
    """Adam has a memory, so that resuming without it would show."""

    def __init__(self, wrong: int | None = None, mixed: bool = False) -> None:
        self.acceleration = Acceleration(mixed)
        self.weight = torch.zeros(3, requires_grad=True)
        self.optimizer = torch.optim.Adam([self.weight], lr=0.1)
        self.wrong = wrong

    def begin(self, epoch: int) -> Mapping[str, float]:
        self.optimizer.param_groups[0]["lr"] = 0.1 * (1 - epoch / 4)
        return {"rate": 0.1 * (1 - epoch / 4)}

    def step(self, batch: Mapping[str, Tensor], epoch: int, step: int) -> Mapping[str, Tensor]:
        loss = (self.weight - batch["x"]).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"loss": loss * float("nan") if epoch == self.wrong else loss}

    def state(self) -> dict[str, Any]:
        return {"weight": self.weight.detach(), "optimizer": self.optimizer.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.weight.data.copy_(state["weight"])
        self.optimizer.load_state_dict(state["optimizer"])

    def preview(self, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        path.touch()

    def remarks(self, curves: Mapping[str, list[float]]) -> list[str]:
        return ["It is slow."] if len(curves["loss"]) > 1 else []


def batch(step: int) -> dict[str, np.ndarray]:
    return {"x": np.full(3, step, np.float32)}


@pytest.fixture(autouse=True)
def saved_always(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(loop, "SAVED_AFTER", -1.0)


def log_of(folder: Path) -> str:
    return "".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("training_log_*.txt")))


def test_a_whole_run(tmp_path):
    learner = WeightLearner()
    Loop(learner, SCHEDULE, tmp_path).run(batch, 0)
    assert len(re.findall(r"memory, at most so far: \d+\.\d GB", log_of(tmp_path))) == 1
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".txt") == [
        FINAL, "previews", "progress.png",
    ]  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "previews").iterdir()) == ["epoch_0002.png", "epoch_0004.png"]
    state = torch.load(tmp_path / FINAL, weights_only=True)
    assert state["epoch"] == 4
    assert [len(state["curves"][name]) for name in ("loss", "rate")] == [4, 4]
    assert "Epoch 3: loss" in log_of(tmp_path)
    assert log_of(tmp_path).count("It is slow.") == 1


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_run_that_is_ended_goes_on_to_the_same_end(tmp_path, after):
    whole = WeightLearner()
    Loop(whole, SCHEDULE, tmp_path / "whole").run(batch, 0)

    class Ended(WeightLearner):
        def begin(self, epoch):
            if epoch == after:
                raise KeyboardInterrupt
            return super().begin(epoch)

    folder = tmp_path / "parts"
    with pytest.raises(KeyboardInterrupt):
        Loop(Ended(), SCHEDULE, folder).run(batch, 0)
    assert (folder / LATEST).exists()
    second = WeightLearner()
    Loop(second, SCHEDULE, folder).run(batch, 0)
    assert torch.equal(second.weight, whole.weight)
    ends = [torch.load(path / FINAL, weights_only=True)["curves"] for path in (tmp_path / "whole", folder)]
    assert ends[0] == ends[1]
    assert f"Going on after epoch {after - 1}, from {LATEST}" in log_of(folder)
    third, picture = WeightLearner(), folder / "progress.png"
    picture.unlink()  # as if the second had ended between its last checkpoint and its last picture
    Loop(third, SCHEDULE, folder).run(batch, 0)
    assert torch.equal(third.weight, whole.weight)
    assert picture.read_bytes() == (tmp_path / "whole" / picture.name).read_bytes()


def test_another_precision_is_said(tmp_path):
    Loop(WeightLearner(mixed=True), replace(SCHEDULE, epochs=2), tmp_path).run(batch, 0)
    Loop(WeightLearner(mixed=True), replace(SCHEDULE, epochs=3), tmp_path).run(batch, 0)
    assert "WARNING" not in log_of(tmp_path)
    Loop(WeightLearner(), SCHEDULE, tmp_path).run(batch, 0)
    assert "WARNING: it was begun in bfloat16; on this device it goes on in float32." in log_of(tmp_path)


def half_and_whole(folder: Path) -> int:
    """Two epochs, then from there to the fourth; the other process has no files of its own."""
    torch.set_num_threads(1)
    with joined(torch.device("cpu")) as (team, _):
        for epochs in (2, 4):
            learner = WeightLearner()
            Loop(learner, replace(SCHEDULE, epochs=epochs), folder, team).run(batch, 0)
        torch.save(learner.weight.detach(), folder / f"{team.rank}.pth")
    return 0


@pytest.mark.exhaustive
def test_a_team_goes_on_from_its_leader_s_checkpoint(tmp_path):
    whole = WeightLearner()
    Loop(whole, SCHEDULE, tmp_path / "whole").run(batch, 0)
    folder = tmp_path / "team"
    assert launch(2, half_and_whole, folder) == 0
    assert all(torch.equal(torch.load(folder / f"{rank}.pth"), whole.weight) for rank in (0, 1))
    assert "Going on after epoch 1" in log_of(folder)
    assert log_of(folder).count("Epoch 3: loss") == 1


def test_what_is_no_number_ends_it_and_the_last_good_state_is_kept(tmp_path):
    with pytest.raises(UserError, match=r"In epoch 2 loss came to no number, .*holds the last good state"):
        Loop(WeightLearner(wrong=2), SCHEDULE, tmp_path).run(batch, 0)
    assert torch.load(tmp_path / LATEST, weights_only=True)["epoch"] == 2
    assert "came to no number" in log_of(tmp_path)
    learner = WeightLearner()
    Loop(learner, SCHEDULE, tmp_path).run(batch, 0)
    assert learner.weight.isfinite().all()
    with pytest.raises(UserError, match="no checkpoint had been written yet"):
        Loop(WeightLearner(wrong=0), SCHEDULE, tmp_path / "first").run(batch, 0)


@pytest.mark.parametrize("last", [1, 3])
def test_weights_that_are_no_number_are_never_kept(tmp_path, last):
    """The last update of an epoch made them so: its losses were still numbers."""

    class Broken(WeightLearner):
        def step(self, batch, epoch, step):
            record = super().step(batch, epoch, step)
            if (epoch, step) == (last, 2):
                self.weight.data[0] = float("nan")
            return record

    with pytest.raises(UserError, match=f"In epoch {last} weights came to no number, .*holds the last good state"):
        Loop(Broken(), SCHEDULE, tmp_path).run(batch, 0)
    state = torch.load(tmp_path / LATEST, weights_only=True)
    assert state["epoch"] == last
    assert state["learner"]["weight"].isfinite().all()
    assert not (tmp_path / FINAL).exists()


def test_a_damaged_checkpoint_is_named(tmp_path):
    Loop(WeightLearner(), SCHEDULE, tmp_path).run(batch, 0)
    path = tmp_path / FINAL
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match=rf"{FINAL} is damaged; delete it"):
        Loop(WeightLearner(), SCHEDULE, tmp_path).run(batch, 0)
