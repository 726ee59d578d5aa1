"""One step of G against D: who learns from what, and that nothing else decides it."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool3d

from nnunetv2_tf.methods.tf_gan import losses
from nnunetv2_tf.methods.tf_gan.config import PRESETS, TFGANConfig
from nnunetv2_tf.methods.tf_gan.gan_step import CHECKED_EVERY, GANTrainer
from nnunetv2_tf.methods.tf_gan.sides import both_sides
from nnunetv2_tf.training.precision import Acceleration
from tests.methods.tf_gan.examples import batch, design, encoder
from tests.scenes import CPU, EXACT

PLAIN = replace(PRESETS["default"], augmented=False, shake=(0.0, 0.0, 0.0), epochs=10)
PAPER = replace(PRESETS["paper"], augmented=False, discriminator_features=(4, 4), epochs=10)


def game(
    config: TFGANConfig = PLAIN, channels: int = 1, seed: int = 0, acceleration: Acceleration | None = None, **changes
) -> GANTrainer:
    found = GANTrainer(
        config, design(channels, residual=config.residual, **changes), encoder(channels), (True,) * channels, seed,
        CPU, acceleration=acceleration or EXACT,
    )  # fmt: skip
    found.learn_scale(patches(channels))
    found.begin(0)
    return found


def patches(channels: int = 1, seed: int = 7) -> list[dict[str, Tensor]]:
    """Two real patches."""
    both = batch(channels, seed)
    return [{name: value[place : place + 1] for name, value in both.items()} for place in range(2)]


@pytest.mark.parametrize("config", [PLAIN, PAPER], ids=["default", "paper"])
@pytest.mark.parametrize("channels", [1, 4])
def test_both_learn_and_the_encoder_does_not(config, channels):
    found = game(config, channels)
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


def cross_entropy(logits: Tensor, visible: Tensor | None, truth: bool) -> Tensor:
    """(B,): a plain mean over visible places."""
    d = torch.sigmoid(logits)
    entropy = -torch.log(d if truth else 1 - d)
    weights = torch.ones_like(entropy) if visible is None else visible
    return (entropy * weights).flatten(1).sum(1) / weights.flatten(1).sum(1)


def test_the_record_of_the_paper_is_what_the_equations_say():
    """Of the first step. The generator writes all of the organ; D and F see all of the patch."""
    found, untouched, one = game(PAPER), game(PAPER), batch()
    record = found.step(one, 0, 0)
    x_s_ = torch.where(one["body"][:, None], one["coarse"] / 2, torch.tensor(-1.0))
    maps = [torch.stack([one[name] == value for value in (1, 2, 3)], 1).float() for name in ("tumour", "real_tumour")]
    with torch.no_grad():
        x = torch.tanh(untouched.generator.network(torch.cat([x_s_, maps[0]], 1)))
    z = torch.where(one["organ"][:, None], one["coarse"] + (x - x_s_.clamp(-1, 1)) * 2, one["coarse"])
    z_s = torch.stack([_renormalised(*three) for three in zip(z, one["host"], one["body"], strict=True)])
    x_s = torch.where(one["body"][:, None], z_s / 2, torch.tensor(-1.0))
    x_r = torch.where(one["real_body"][:, None], one["real_image"] / 2, torch.tensor(-1.0))
    stages = untouched.discriminator

    def heads(image: Tensor, m: Tensor) -> tuple[Tensor, Tensor]:
        features = torch.cat([image, m], 1)
        for stage in stages.stages:  # type: ignore[union-attr]
            features = stage(features)
        return stages.local(features), stages.whole(features.mean(dim=(2, 3, 4)))  # type: ignore[operator]

    real, fake = heads(x_r, maps[1]), heads(x_s, maps[0])
    for name, ours, theirs in zip(("D patch", "D whole"), real, fake, strict=True):
        expected = (cross_entropy(ours, None, True).mean() + cross_entropy(theirs, None, False).mean()) / 2
        assert record[name].item() == pytest.approx(float(expected.detach()), rel=1e-3)
    features = [found.encoder(z_s), found.encoder(one["real_image"])]
    terms = []
    for index in range(2):
        for value in (1, 2):
            for stage in range(3):
                means = []
                for side, name in zip(features, ("tumour", "real_tumour"), strict=True):
                    mask = (one[name][index] == value).float()[None, None]
                    share = adaptive_avg_pool3d(mask, side[stage].shape[2:])[0]
                    means.append((side[stage][index] * share).sum(dim=(1, 2, 3)) / share.sum())
                terms.append(float((means[0] - means[1]).abs().mean()))
    assert float(record["perceptual"]) == pytest.approx(np.mean(terms), rel=1e-3)


def test_the_first_record_of_the_default():
    """It changes nothing yet, so x_s is the coarse image; what is visible is what it may change."""
    found, untouched, one = game(), game(), batch()
    record = found.step(one, 0, 0)
    assert float(record["change in the tumour"]) == pytest.approx(0, abs=1e-7)
    z_s = torch.stack([_renormalised(*three) for three in zip(one["coarse"], one["host"], one["body"], strict=True)])
    verdicts = []
    for z, prefix in ((one["real_image"], "real_"), (z_s, "")):
        near = (1 + torch.cos(np.pi * (one[prefix + "distance"] / 6).clip(max=1))) / 2
        share = (near * one[prefix + "organ"])[:, None]
        dark = torch.where(one[prefix + "body"][:, None], z / 2, torch.tensor(-1.0))
        x, m = (1 + dark) * share - 1, torch.stack([one[prefix + "tumour"] == value for value in (1, 2, 3)], 1).float()
        stages = zip(untouched.encoder(z * share), untouched.scale.means, untouched.scale.sds, strict=False)
        features = [(stage - mean.reshape(-1, 1, 1, 1)) / sd.reshape(-1, 1, 1, 1) for stage, mean, sd in stages]
        verdicts.append(untouched.discriminator(x, m, share, features))
    real, fake = verdicts
    places = [list(zip(verdict.places, verdict.visible, strict=True)) for verdict in verdicts]
    for name, of_real, of_fake in (("D patch", *places), ("D whole", [(real.whole, None)], [(fake.whole, None)])):
        right = torch.stack([cross_entropy(*head, True).mean() for head in of_real]).mean()
        wrong = torch.stack([cross_entropy(*head, False).mean() for head in of_fake]).mean()
        assert record[name].item() == pytest.approx(float((right + wrong).detach() / 2), rel=1e-3)


def _renormalised(edited: torch.Tensor, host: torch.Tensor, body: torch.Tensor) -> torch.Tensor:
    """(1, Z, Y, X) as nnU-Net will normalise it, were the host's mean 0 and its sd 1, which here they nearly are."""
    inside, before = edited[0][body].double(), host[0][body].double()
    mean, square = (inside - before).mean(), 1 + (inside**2 - before**2).mean()
    return torch.where(body, (edited.double() - mean) / (square - mean**2).sqrt(), edited.double()).float()


def test_without_adversary_and_texture_nothing_moves():
    found = game(replace(PLAIN, lambda_a=0.0, lambda_b=0.0, lambda_e=0.0))
    before = {name: value.clone() for name, value in found.generator.weights().items()}
    for step in range(3):
        assert float(found.step(batch(seed=step), 0, step)["change in the tumour"]) < 1e-7
    assert all(torch.equal(value, before[name]) for name, value in found.generator.weights().items())


def test_the_plain_generator_learns_to_keep_what_is_no_tumour():
    """As in the paper: tanh of everything; the hinge alone brings it to the coarse image, but for the margin."""
    found, one = game(replace(PAPER, lambda_a=0.0, lambda_b=0.0, lambda_d=0.0, rate_g=5e-3)), batch()
    hinges = [float(found.step(one, 0, step)["hinge"]) for step in range(60)]
    assert hinges[-1] < 0.3 * hinges[0]


def test_a_discriminator_that_has_won_waits_and_one_that_knows_nothing_is_not_listened_to():
    for held_out, learns, moves in ((1.0, False, True), (0.5, True, False)):
        found = game(replace(PLAIN, lambda_e=0.0))
        found.balance.checked(held_out)
        for kind, score in (("real", held_out), ("made", 0.5)):
            found.balance.saw(f"{kind}, patch", torch.full((8,), score))
        before = [copy.deepcopy(player.state_dict()) for player in (found.discriminator, found.generator)]
        record = found.step(batch(), 0, 1)
        changed = [
            any(not torch.equal(value, was[name]) for name, value in player.state_dict().items())
            for was, player in zip(before, (found.discriminator, found.generator), strict=True)
        ]
        assert changed == [learns, moves]
        assert float(record["D learns"]) == learns


def test_patients_held_out_are_looked_at_now_and_then():
    found = game()
    found.hold_out(patches(), patches(seed=11))
    for step in range(CHECKED_EVERY + 1):
        found.step(batch(seed=step), 0, step)
    assert len(found.balance.found) == 2  # at the first step and at the last
    assert len(found.balance.scores["real, patch"]) == 2 * (CHECKED_EVERY + 1)


def test_rates_and_the_weight_of_the_hinge():
    found = game(replace(PLAIN, lambda_c=(10.0, 1.0)))
    seen = [found.begin(epoch) for epoch in range(10)]
    assert [one["lambda_c"] for one in seen] == pytest.approx([10 - epoch for epoch in range(10)])
    assert [one["rate of G"] for one in seen] == pytest.approx([2e-4 * (1 - epoch / 10) for epoch in range(10)])
    assert found.optimizer_d.param_groups[0]["lr"] == pytest.approx(1e-4)


def test_the_average_of_weights():
    """Its decay grows to the preset's; against a plain loop."""
    found = game(replace(PLAIN, average=0.5))
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
    one, other = (game(config) for _ in range(2))
    for player in (one, other):
        player.hold_out(patches(), patches(seed=11))
    for step in range(3):
        a, b = (player.step(batch(seed=step), 0, step) for player in (one, other))
        assert all(torch.equal(a[name], b[name]) for name in a)
    third = game(config)
    third.hold_out(patches(), patches(seed=11))
    third.restore(copy.deepcopy(one.state()))  # as from a file
    a, b = (player.step(batch(seed=9), 1, 0) for player in (one, third))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(game(config, seed=1).discriminator.state_dict()["whole.bias"],
                           game(config, seed=0).discriminator.state_dict()["whole.bias"])  # fmt: skip


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
    game().step(one, 0, 0)
    game(PAPER).step(one, 0, 0)
    assert torch.equal(seen[0], one["body"] & (one["distance"] < 6))  # this design has no rim
    assert torch.equal(seen[1], one["body"])


def test_mixed_precision_changes_little():
    """On a CPU, where bfloat16 may be slow, and is the same."""
    records = []
    for acceleration in (Acceleration(), Acceleration(mixed=True)):
        found = game(PLAIN, acceleration=acceleration)
        records.append(found.step(batch(), 0, 0))
        assert all(weight.grad is None or weight.grad.dtype == torch.float32 for weight in found.generator.parameters())
    for name, value in records[0].items():
        assert float(records[1][name].detach()) == pytest.approx(float(value.detach()), rel=0.05, abs=0.02), name


def test_the_change_is_a_mean_over_the_tumour_and_all_channels(monkeypatch):
    found, given, made = game(PAPER, channels=4), batch(4), []
    refine = found._refined
    monkeypatch.setattr(found, "_refined", lambda *of_fake: made.append(refine(*of_fake)) or made[-1])
    record = found.step(given, 0, 0)
    fake, _ = both_sides(given, CPU, found.design.spacing, None)
    inside = (fake.tumour > 0) & made[0].may_change
    changed = (made[0].x_s - made[0].x_s_).detach().abs().movedim(1, -1)[inside]
    assert changed.shape[-1] == 4
    assert changed.mean() > 0.01
    torch.testing.assert_close(record["change in the tumour"], changed.mean())
