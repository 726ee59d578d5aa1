"""Two processes with half of a batch each take the step that one process takes with all of it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nnunetv2_tf.methods.tf_gan.config import PRESETS
from nnunetv2_tf.methods.tf_gan.gan_step import GANTrainer
from nnunetv2_tf.training.distributed import Team, joined, launch
from nnunetv2_tf.training.precision import Acceleration
from tests.methods.tf_gan.examples import batch, design, encoder, generator

pytestmark = pytest.mark.slow

CPU, BATCH = torch.device("cpu"), 4


def weights_after(preset: str, team: Team) -> Mapping[str, Tensor]:
    """Of both players, after a step on this process's share of the batch."""
    config = replace(PRESETS[preset], discriminator_features=(4, 4), epochs=2)
    players = design(2, residual=config.residual), encoder(2), (True, False)
    game = GANTrainer(config, *players, 3, CPU, team, Acceleration())  # rounding is the same on all CPUs
    game.generator.load_weights(generator(channels=2, residual=config.residual).weights())  # all of it has gradients
    both = batch(2, 7)
    several = [{name: value[place : place + 1] for name, value in both.items()} for place in range(2)]
    game.learn_scale(several)
    game.hold_out(several, several)
    game.begin(0)
    game.step({name: value[team.rank :: team.size] for name, value in batch(2, number=BATCH).items()}, 0, 0)
    return {**game.generator.weights(), **game.discriminator.state_dict()}


def member(folder: Path) -> int:
    """One of the two."""
    torch.set_num_threads(1)
    with joined(CPU) as (team, _):
        for preset in ("default", "paper"):
            torch.save(dict(weights_after(preset, team)), folder / f"{preset}_{team.rank}.pth")
    return 0


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes came to, with both presets."""
    folder = tmp_path_factory.mktemp("together")
    assert launch(2, member, folder) == 0
    return folder


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_two_processes_are_one(preset, saved):
    """But for rounding, which Adam's first step, nearly the sign of a gradient, makes much of where one is tiny."""
    before = {
        name: value.clone() for name, value in generator(channels=2, residual=preset != "paper").weights().items()
    }
    expected = weights_after(preset, Team())
    assert [name for name, value in before.items() if torch.equal(expected[name], value)] == []
    one, other = (torch.load(saved / f"{preset}_{rank}.pth", weights_only=True) for rank in (0, 1))
    for name, value in expected.items():
        assert torch.equal(one[name], other[name]), name
        largest = float((one[name] - value).abs().max() / value.abs().max().clamp_min(1e-6))
        assert largest < 1e-3, f"{name} differs by {largest:.1e} of its largest weight"
