"""The training step: who learns from what, what the two see, and going on from a state."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from nnunetv2_tf.methods.freetumor.adversaries import Adversaries, mean_votes
from nnunetv2_tf.methods.freetumor.config import PRESETS, FreeTumorConfig
from nnunetv2_tf.methods.freetumor.losses import Losses
from nnunetv2_tf.methods.freetumor.patches import Host
from nnunetv2_tf.networks.saved import weights_of
from tests.methods.freetumor.examples import CLASSES, SPACING, batch, design, judges

CPU = torch.device("cpu")
PLAIN = replace(PRESETS["default"], augmented=False)


def adversaries(config: FreeTumorConfig = PLAIN, channels: int = 1, seed: int = 0) -> Adversaries:
    return Adversaries(config, design(channels), *judges(channels), [True] * channels, SPACING, seed, CPU)


@pytest.mark.parametrize("channels", [1, 4])
def test_both_learn_and_the_segmentor_does_not(channels):
    found = adversaries(channels=channels)
    networks = {"G": found.generator, "D": found.discriminator, "S": found.segmentor}
    before = {
        name: {key: value.clone() for key, value in network.state_dict().items()} for name, network in networks.items()
    }
    curves = found.step(batch(channels), 0, 0)
    assert all(torch.isfinite(value) for value in curves.values())
    for name, network in networks.items():
        same = all(torch.equal(value, before[name][key]) for key, value in network.state_dict().items())
        assert same is (name == "S")


def test_losses_of_the_first_step_are_those_of_the_segmentor():
    """Before it has learnt, D is S, and gives a half to either."""
    config = replace(PLAIN, logarithmic=False)
    found, one = adversaries(config), batch()
    host, losses = Host.of(one, CPU, SPACING, None), Losses(CLASSES, False)
    made = found.with_tumours(found.generator, host)
    p_made, p_real = (found.of_classes(found.segmentor(image)) for image in (made, one["real_image"]))
    curves = found.step(one, 0, 0)
    half = np.log(0.5)
    expected = losses.d(p_made + half, host.tumour, p_real + half, one["real_tumour"]).mean()
    assert float(curves["D"]) == pytest.approx(float(expected.detach()), rel=1e-4)
    assert float(curves["G seg"]) == pytest.approx(float(losses.seg(p_made, host.tumour).mean().detach()), rel=1e-4)
    assert float(curves["p of S"]) == pytest.approx(1 - float(curves["G seg"]), rel=1e-4)


def test_the_segmentor_asks_for_no_more_than_it_gives_to_real_tumours():
    """What it misses of real tumours is measured without a gradient; where it is allowed, only D moves G."""
    found, one = adversaries(replace(PLAIN, lambda_adv=0.0)), batch()
    missed, there = found.missed_of_real(one)
    p_real = found.of_classes(found.segmentor(one["real_image"]))
    expected, _ = found.losses.by_class(p_real, one["real_tumour"])
    torch.testing.assert_close(missed, expected.detach(), rtol=0.02, atol=0.02)
    assert there.all()
    found.allowed = torch.full((2,), 100.0)
    before = [value.clone() for value in found.generator.parameters()]
    assert float(found.step(one, 0, 0)["G seg"]) == 0
    assert all(torch.equal(*pair) for pair in zip(before, found.generator.parameters(), strict=True))
    found.allowed = torch.zeros(2)
    found.step(one, 0, 1)
    assert not all(torch.equal(*pair) for pair in zip(before, found.generator.parameters(), strict=True))


def test_patients_own_tumours_count_as_real():
    one = batch()
    with_own = {**one, "own": torch.where(one["tumour"] == 0, one["real_tumour"], 0)}
    curves = [adversaries().step(given, 0, 0)["D"] for given in (one, with_own)]
    assert curves[0] != curves[1]


def test_the_generator_learns_to_be_recognised_and_the_discriminator_to_tell():
    found = adversaries(replace(PLAIN, rate=3e-3, lambda_adv=0.0))
    curves = [found.step(batch(seed=step % 3), 0, step) for step in range(120)]
    assert float(curves[-1]["G seg"]) < 0.8 * float(curves[0]["G seg"])  # S is of random weights
    assert float(curves[-1]["D"]) < float(curves[0]["D"])
    assert float(curves[-1]["AUC of D's votes"]) > 0.8


def test_what_is_seen_is_normalised_as_a_finished_case():
    """The tumour brightens its host; mean and deviation over the body are 0 and 1 for a z-scored host again."""
    found, one = adversaries(), batch()
    inside = one["body"]
    for index in range(2):
        voxels = one["host"][index][:, inside[index]]
        one["host"][index] = (one["host"][index] - voxels.mean()) / voxels.std(correction=0)
    one["host"] = one["host"] * inside[:, None]
    torch.nn.init.constant_(found.generator.network.head.bias, 1.0)  # type: ignore[arg-type]
    host = Host.of(one, CPU, SPACING, None)
    made = found.with_tumours(found.generator, host).detach()
    assert float((made - host.image).abs().max()) > 0.5
    for index in range(2):
        voxels = made[index][:, inside[index]]
        assert float(voxels.mean().abs()) < 1e-4
        assert float(voxels.std(correction=0)) == pytest.approx(1, abs=1e-4)


def test_it_goes_on_to_the_bit_from_a_state():
    config = replace(PLAIN, augmented=True)
    whole, half, resumed = adversaries(config), adversaries(config), adversaries(config, seed=5)
    resumed.seed = half.seed
    for step in range(4):
        whole.step(batch(seed=step), 0, step)
    for step in range(2):
        half.step(batch(seed=step), 0, step)
    resumed.restore(copy.deepcopy(half.state()))
    for step in range(2, 4):
        resumed.step(batch(seed=step), 0, step)
    for one, other in ((whole.generator, resumed.generator), (whole.discriminator, resumed.discriminator)):
        for name, value in weights_of(one).items():
            assert torch.equal(value, weights_of(other)[name])
    assert all(torch.equal(value, resumed.weights()[name]) for name, value in whole.weights().items())
    assert whole.votes == resumed.votes


def test_mean_votes_against_a_loop():
    votes = torch.randn(2, 2, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    where = torch.randint(0, 4, (2, 3, 3, 3), generator=torch.Generator().manual_seed(1))
    for image, labels, found in zip(votes, where, mean_votes(votes, where, CLASSES), strict=True):
        counted = [
            float(image[CLASSES.index(int(labels[place]))][place])
            for place in np.ndindex(3, 3, 3) if int(labels[place]) in CLASSES
        ]  # fmt: skip
        assert float(found) == pytest.approx(np.mean(counted), rel=1e-4)
    where[0] = 0  # patches without tumour have nothing to vote on
    assert torch.equal(mean_votes(votes, where, CLASSES), mean_votes(votes[1:], where[1:], CLASSES))
