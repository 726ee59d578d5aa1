"""`paper` is the paper, line by line: what section 2.2 and 3 say, and what the networks and the training are then."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from nnunetv2_tf.baseline.encoder import Encoder
from nnunetv2_tf.methods.tf_gan.config import PRESETS, TFGANConfig
from nnunetv2_tf.methods.tf_gan.gan_step import CHECKED_EVERY, GANTrainer
from nnunetv2_tf.networks.discriminators import DualHead
from nnunetv2_tf.networks.levels import Levels
from nnunetv2_tf.networks.unet import UNet
from tests.methods.tf_gan.examples import batch, design, encoder

PAPER = PRESETS["paper"]
LEVELS = Levels.of((128, 128, 128), (1.0, 1.0, 1.0), PAPER.levels)


def game(config: TFGANConfig = PAPER, **changes) -> GANTrainer:
    """Of the paper, but for widths and depth."""
    small = replace(config, discriminator_features=(4, 4), augmented=False)
    return GANTrainer(small, design(residual=False, **changes), encoder(), (True,), 0, torch.device("cpu"))


def test_six_resolution_levels_in_crops_of_128():
    assert (PAPER.largest_patch, PAPER.around_tumours) == (128, False)
    assert LEVELS.number == 6
    assert PAPER.features is not None
    assert len(PAPER.features) == 6


def test_nearest_upsampling_and_convolutions():
    modules = list(game().generator.modules())
    assert not [module for module in modules if isinstance(module, nn.ConvTranspose3d)]
    assert {module.mode for module in modules if isinstance(module, nn.Upsample)} == {"nearest"}


def test_five_downsampling_stages_shared_by_a_patch_head_and_a_global_head():
    assert PAPER.discriminator_features is not None
    network = DualHead(4, [2] * len(PAPER.discriminator_features), LEVELS, PAPER.tap)
    assert len(network.stages) == 5
    assert network.tap == 5  # both heads see what all of them have made of the image
    assert isinstance(game().discriminator, DualHead)


def test_the_global_head_averages_all_of_the_image_and_is_one_linear_layer(monkeypatch):
    """Adaptive average pooling; nothing is hidden from the discriminator."""
    seen = []
    found = game()
    monkeypatch.setattr(type(found.view), "of", _kept(type(found.view).of, seen))
    found.begin(0)
    found.step(batch(), 0, 0)
    assert all((one.visible == 1).all() for one in seen)
    assert isinstance(found.discriminator.whole, nn.Linear)


def _kept(original, seen):
    def of(*given):
        seen.append(original(*given))
        return seen[-1]

    return of


def test_the_generator_writes_the_whole_image_through_tanh():
    found = game()
    image, m = torch.rand(1, 1, 16, 16, 16) - 0.5, torch.zeros(1, 3, 16, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(
            image + found.generator(image, m), torch.tanh(found.generator.network(torch.cat([image, m], 1)))
        )
    assert (PAPER.residual, PAPER.reach_mm, PAPER.rim_mm) == (False, None, 0.0)
    assert PAPER.reach((1.0, 1.0, 1.0)) is None


def test_the_weights_of_eq_5_are_weights_of_losses():
    """10, 1, 10 falling evenly to 1, and 1; nothing else is added."""
    found = game()
    weights = found.loss_weights.of(["patch", "whole", "perceptual"], found.balance.generator_listens)
    assert weights == {"patch": 10.0, "whole": 1.0, "perceptual": 1.0}
    assert [found.begin(epoch)["lambda_c"] for epoch in (0, 199)] == [10.0, 1.0]
    assert found.begin(100)["lambda_c"] == pytest.approx(10 - 9 * 100 / 199)
    assert PAPER.lambda_e == 0
    record = found.step(batch(), 0, 0)
    assert "texture" not in record


def test_features_are_compared_with_a_real_image_not_with_what_was_seen_before():
    """The same step, whatever came before it; against whichever real image there is."""
    one, other = batch(seed=1), batch(seed=2)
    first = float(game_that_began().step(one, 0, 0)["perceptual"])
    changed = {**one, **{name: value for name, value in other.items() if name.startswith("real_")}}
    assert float(game_that_began().step(one, 0, 0)["perceptual"]) == first
    assert float(game_that_began().step(changed, 0, 0)["perceptual"]) != pytest.approx(first, rel=1e-3)


def game_that_began() -> GANTrainer:
    found = game()
    found.begin(0)
    return found


def test_three_layers_of_the_encoder():
    widths = [4, 8, 16, 32]
    unet = UNet(1, 1, widths, Levels.of((32, 32, 32), (1.0, 1.0, 1.0), 4))
    assert Encoder.within(unet, "a network").widths == (4, 8, 16)


def test_instance_norm_in_the_discriminator_but_for_the_first_stage():
    first, *others = DualHead(4, [2] * 5, LEVELS, PAPER.tap).stages
    assert not [module for module in first.modules() if isinstance(module, nn.InstanceNorm3d)]
    assert all(any(isinstance(module, nn.InstanceNorm3d) for module in stage.modules()) for stage in others)


def test_adam_with_rates_that_fall_to_nothing_over_200_epochs():
    found = game()
    for optimizer, rate in ((found.optimizer_g, 2e-4), (found.optimizer_d, 1e-4)):
        assert isinstance(optimizer, torch.optim.Adam)
        rates = []
        for epoch in (0, 100, 199):
            found.begin(epoch)
            (group,) = optimizer.param_groups
            rates.append(group["lr"])
        np.testing.assert_allclose(rates, [rate, rate / 2, rate / 200])
        assert group["betas"] == (0.5, 0.999)
    assert PAPER.epochs == 200


def test_the_coarse_images_are_a_fixed_set():
    """Stage 1 makes them once."""
    assert (PAPER.pool, PAPER.renewed, PAPER.free_sides) == (200, 0, 0.0)


def test_both_players_learn_at_every_step_and_the_last_weights_are_the_result():
    assert PAPER.held_out == 0
    found = game()
    for step in range(CHECKED_EVERY + 1):
        found.begin(0)
        assert float(found.step(batch(seed=step), 0, step)["D learns"]) == 1
    last = found.generator.weights()
    assert all(value.data_ptr() == last[name].data_ptr() for name, value in found.weights().items())
    assert not any(PAPER.shake)
