"""One step of G against D: who learns from what, and that nothing else decides it."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from nnunetv2_tf.baseline.class_features import Features
from nnunetv2_tf.methods.tf_gan import losses
from nnunetv2_tf.methods.tf_gan.config import PRESETS, TFGANConfig
from nnunetv2_tf.methods.tf_gan.gan_step import GANTrainer
from nnunetv2_tf.training.precision import Acceleration
from tests.methods.tf_gan.examples import batch, design, encoder, some_goal

PLAIN = replace(PRESETS["default"], augmented=False, shake=0.0, epochs=10)
CPU = torch.device("cpu")


def game(
    config: TFGANConfig = PLAIN, channels: int = 1, seed: int = 0, goal: Features | None = None,
    acceleration: Acceleration | None = None, **changes,
) -> GANTrainer:  # fmt: skip
    found = GANTrainer(
        config, design(channels, residual=config.residual, **changes), encoder(channels), (True,) * channels, seed,
        CPU, acceleration=acceleration,
    )  # fmt: skip
    found.goal = goal
    found.begin(0)
    return found


@pytest.mark.parametrize("preset", ["default", "paper"])
@pytest.mark.parametrize("channels", [1, 4])
def test_both_learn_and_the_encoder_does_not(preset, channels):
    config = replace(PRESETS[preset], features=None, discriminator_features=None)
    found = game(config, channels, goal=some_goal() if config.prototypes else None)
    before = [
        {name: value.clone() for name, value in player.state_dict().items()}
        for player in (found.generator, found.discriminator, found.encoder)
    ]
    record = found.step(batch(channels), 0, 0)
    for was, player in zip(before, (found.generator, found.discriminator, found.encoder), strict=True):
        changed = [name for name, value in player.state_dict().items() if not torch.equal(value, was[name])]
        assert bool(changed) == (player is not found.encoder)
    assert all(weight.grad is None for weight in found.encoder.parameters())
    assert all(torch.isfinite(value) for value in record.values())


def test_the_record_is_what_the_equations_say():
    """Of the first step, before anything is learnt: a residual generator changes nothing, x_s is the coarse image."""
    config = replace(PLAIN, view_mm=None)
    found, one = game(config, goal=some_goal()), batch()
    untouched = game(config, goal=some_goal())
    record = found.step(one, 0, 0)
    z_s = torch.stack([_renormalised(*three) for three in zip(one["coarse"], one["host"], one["body"], strict=True)])
    x_s = torch.where(one["body"][:, None], z_s / 2, torch.tensor(-1.0))
    x_r = torch.where(one["real_body"][:, None], one["real_image"] / 2, torch.tensor(-1.0))
    maps = [torch.stack([one[name] == value for value in (1, 2, 3)], 1).float() for name in ("tumour", "real_tumour")]
    discriminate = untouched.discriminator
    real, fake = discriminate(torch.cat([x_r, maps[1]], 1)), discriminate(torch.cat([x_s, maps[0]], 1))
    for name, ours, theirs in zip(("D patch", "D whole"), real, fake, strict=True):
        expected = (-torch.log(torch.sigmoid(ours)).mean() - torch.log(1 - torch.sigmoid(theirs)).mean()) / 2
        assert record[name].item() == pytest.approx(float(expected.detach()), rel=1e-3)
    assert float(record["change in the tumour"]) == pytest.approx(0, abs=1e-7)
    features = [found.encoder(image[None]) for image in z_s]
    terms = []
    for index in range(2):
        for value, place in ((1, 0), (2, 1)):
            for stage, goal in zip(features[index], some_goal().means, strict=True):
                where = torch.nn.functional.adaptive_avg_pool3d(
                    (one["tumour"][index] == value).float()[None, None], stage.shape[2:]
                )
                own = (stage * where).sum(dim=(0, 2, 3, 4)) / where.sum()
                terms.append(float((own - goal[0, place]).abs().mean()))
    assert float(record["perceptual"]) == pytest.approx(np.mean(terms), rel=1e-3)
    assert float(record["G"]) == pytest.approx(
        float(10 * record["G patch"] + record["G whole"] + 10 * record["hinge"] + 10 * record["perceptual"]), rel=1e-5
    )


def _renormalised(edited: torch.Tensor, host: torch.Tensor, body: torch.Tensor) -> torch.Tensor:
    """(1, Z, Y, X) as nnU-Net will normalise it, were the host's mean 0 and its sd 1, which here they nearly are."""
    inside, before = edited[0][body].double(), host[0][body].double()
    mean, square = (inside - before).mean(), 1 + (inside**2 - before**2).mean()
    return torch.where(body, (edited.double() - mean) / (square - mean**2).sqrt(), edited.double()).float()


def test_the_discriminator_sees_the_tumour_and_a_little_around_it(monkeypatch):
    """Whatever lies beyond its view, or at the organ's surface, it is told the same."""
    one = batch(seed=3)
    seen = []
    for far in (0.0, 5.0):
        other = {name: value.clone() for name, value in one.items()}
        for name in ("host", "coarse", "real_image"):
            hidden = (one["distance"] >= 2.5)[:, None].expand_as(one[name])
            other[name][hidden] += far * one["body"][:, None].expand_as(one[name])[hidden]
        found = game(replace(PLAIN, view_mm=2.5, r1=0.0), rim_mm=2.0)
        monkeypatch.setattr(found, "_perceptual", lambda *_: torch.zeros(()))
        monkeypatch.setattr("nnunetv2_tf.methods.tf_gan.gan_step.renormalised", lambda edited, *_: edited)
        found.discriminator.register_forward_pre_hook(lambda _, given: seen.append(given[0][:, :1].detach()))
        found.step(other, 0, 0)
    plain, changed = seen[:2], seen[3:5]
    for before, after in zip(plain, changed, strict=True):
        torch.testing.assert_close(before, after)
        inside = one["tumour"][:, None] > 0
        assert before[inside].std() > 0.1
        assert (before[(one["distance"] >= 2.5)[:, None]] == -1).all()


def test_the_discriminator_does_not_see_the_surface_of_the_organ():
    """Where the rim hides it: in its outer half, even inside tumours."""
    one, seen = batch(seed=3), []
    one["tumour"][:, :, :, 4:] = 1
    for name in ("distance", "real_distance"):
        one[name][:] = 0
    found = game(replace(PLAIN, view_mm=None), goal=some_goal(), rim_mm=4.0)
    found.discriminator.register_forward_pre_hook(lambda _, given: seen.append(given[0][:, 0].detach()))
    found.step(one, 0, 0)
    depth = torch.from_numpy(distance_transform_edt(one["organ"][0]))
    for image in seen:
        assert (image[:, (depth > 0) & (depth < 1.5)] == -1).all()
        assert (image[:, depth > 6] != -1).all()


def test_what_comes_in_from_beyond_a_turned_patch_is_far_from_any_tumour():
    """Or the discriminator would see it, and the generator change it."""
    found = game(replace(PRESETS["default"], epochs=10), goal=some_goal())
    one = batch()
    for name in ("distance", "real_distance"):
        one[name][:] = 9.0
    for seed in range(10):
        fake, real = found._prepared(one, [seed])
        assert min(float(side.distance.min()) for side in (fake, real)) > 8.99


def test_without_adversary_and_features_nothing_moves():
    found = game(replace(PLAIN, lambda_a=0.0, lambda_b=0.0, lambda_d=0.0), goal=some_goal())
    before = {name: value.clone() for name, value in found.generator.weights().items()}
    for step in range(3):
        assert float(found.step(batch(seed=step), 0, step)["change in the tumour"]) < 1e-7
    assert all(torch.equal(value, before[name]) for name, value in found.generator.weights().items())


def test_the_plain_generator_learns_to_keep_what_is_no_tumour():
    """As in the paper: tanh of everything; the hinge alone brings it to the coarse image, but for the margin."""
    config = replace(
        PRESETS["paper"], augmented=False, lambda_a=0.0, lambda_b=0.0, lambda_d=0.0, epochs=10, rate_g=5e-3
    )
    found, one = game(config), batch()
    hinges = [float(found.step(one, 0, step)["hinge"]) for step in range(60)]
    assert hinges[-1] < 0.3 * hinges[0]


def test_rates_and_the_weight_of_the_hinge():
    found = game(replace(PLAIN, lambda_c=(10.0, 1.0)))
    seen = [found.begin(epoch) for epoch in range(10)]
    assert [one["lambda_c"] for one in seen] == pytest.approx([10 - epoch for epoch in range(10)])
    assert [one["rate of G"] for one in seen] == pytest.approx([2e-4 * (1 - epoch / 10) for epoch in range(10)])
    assert found.optimizer_d.param_groups[0]["lr"] == pytest.approx(4e-5)


def test_the_average_of_weights():
    """Its decay grows to the preset's; against a plain loop."""
    found = game(replace(PLAIN, average=0.5), goal=some_goal())
    name = "network.head.weight"
    expected = found.generator.weights()[name].clone()
    for step in range(6):
        found.step(batch(seed=step), 0, step)
        kept = min(0.5, (1 + step) / (10 + step))
        expected = kept * expected + (1 - kept) * found.generator.weights()[name]
    torch.testing.assert_close(found.weights()[name], expected)
    last = game(replace(PLAIN, average=0.0))
    assert last.weights()[name].data_ptr() == last.generator.weights()[name].data_ptr()


def test_two_games_of_one_seed_are_one():
    config = replace(PRESETS["default"], epochs=10)
    one, other = (game(config, goal=some_goal()) for _ in range(2))
    for step in range(3):
        a, b = (player.step(batch(seed=step), 0, step) for player in (one, other))
        assert all(torch.equal(a[name], b[name]) for name in a)
    third = game(config, goal=some_goal())
    third.restore(copy.deepcopy(one.state()))  # as from a file
    a, b = (player.step(batch(seed=9), 1, 0) for player in (one, third))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(game(config, seed=1).discriminator.state_dict()["whole.bias"],
                           game(config, seed=0).discriminator.state_dict()["whole.bias"])  # fmt: skip


def test_the_penalty_is_lazy():
    """Every so many steps, times as many; the first of them at once."""
    config = replace(PLAIN, r1=3.0, r1_every=2)
    seen = []
    original = losses.penalised
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(losses, "penalised", lambda *given: seen.append(found.steps) or original(*given))
        found = game(config, goal=some_goal())
        for step in range(5):
            found.step(batch(seed=step), 0, step)
    assert seen == [0, 2, 4]


def test_the_margin_is_wider_near_the_tumour():
    found = game()
    distance = torch.tensor([0.0, 6.0, 12.0])
    expected = [0.02 + 0.13 * np.exp(-d / 6) for d in (0, 6, 12)]
    assert found._margin(distance) == pytest.approx(expected, abs=1e-6)


def test_the_hinge_counts_where_the_generator_may_change_something(monkeypatch):
    """In the default the rim around the tumour, in the paper all of the brain."""
    seen = []
    original = losses.hinge
    monkeypatch.setattr(losses, "hinge", lambda *given: seen.append(given[3]) or original(*given))
    one = batch()
    game(goal=some_goal()).step(one, 0, 0)
    game(replace(PRESETS["paper"], augmented=False)).step(one, 0, 0)
    assert torch.equal(seen[0], one["body"] & (one["distance"] < 6))  # this design has no rim
    assert torch.equal(seen[1], one["body"])


@pytest.mark.parametrize("step", [0, 1])
def test_mixed_precision_changes_little(step):
    """With and without the penalty; on a CPU, where bfloat16 is slow and the same."""
    records = []
    for acceleration in (Acceleration(), Acceleration(mixed=True)):
        found = game(PLAIN, goal=some_goal(), acceleration=acceleration)
        found.steps = step
        records.append(found.step(batch(), 0, step))
        assert all(weight.grad is None or weight.grad.dtype == torch.float32 for weight in found.generator.parameters())
    for name, value in records[0].items():
        assert float(records[1][name].detach()) == pytest.approx(float(value.detach()), rel=0.03, abs=0.02), name
