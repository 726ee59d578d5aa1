"""Training of the autoencoder: what its losses are, that it learns, that it goes on to the bit."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.methods.autoencoder.config import PRESETS
from nnunetv2_tf.methods.autoencoder.fitting import check, levels_for, psnr
from nnunetv2_tf.networks.autoencoder import strides_of
from nnunetv2_tf.networks.saved import weights_of
from tests.methods.autoencoder.examples import ADVERSARIAL, SMALL, batch, learnt, trainer
from tests.methods.going_on import check_goes_on
from tests.scenes import Built

PLOTS = {"L1": ("L1",)}


def test_it_comes_nearer_to_what_it_sees():
    found, given = trainer(), batch()
    first = float(found.step(given, 0, 0)["L1"])
    for step in range(60):
        last = float(found.step(given, 0, step)["L1"])
    assert last < 0.5 * first


def test_the_curves_are_what_they_say():
    found, given = trainer(), batch()
    body, tumour = given["body"], given["tumour"] > 0
    with torch.no_grad():
        x = found.design.domain.normalise(given["image"], body)
        again, _, _ = found.autoencoder(x)
    curves = found.step(given, 0, 0)
    distance = (again - x).abs()[:, 0]
    expected = np.mean([float(distance[index][body[index]].mean()) for index in range(2)])
    assert float(curves["L1"]) == pytest.approx(expected, rel=1e-4)
    error = float((again - x).square()[:, 0][tumour].mean())
    assert float(psnr(again, x, tumour)) == pytest.approx(10 * np.log10(4 / error), rel=1e-3)


def test_what_is_lost_of_tumours_is_measured_on_the_patches_that_are_shown():
    found = trainer()
    assert found.begin(0)["PSNR in tumours"] == 0  # nothing is shown
    found.shown = [batch(seed=seed, number=1) for seed in range(2)]
    before = found.begin(0)["PSNR in tumours"]
    for step in range(60):
        found.step(batch(), 0, step)
    assert found.begin(1)["PSNR in tumours"] > before + 3


def test_air_counts_as_much_as_it_is_said_to():
    """With a weight of 1 all voxels count alike, as was published."""
    config = replace(SMALL, lambda_tumour=0.0, lambda_latent=0.0, lambda_air=1.0)
    found, given = trainer(config), batch()
    x = found.design.domain.normalise(given["image"], given["body"])
    again, _, _ = found.autoencoder(x)
    (again - x).abs().mean().backward()
    weights = dict(found.autoencoder.named_parameters())
    wanted = {name: weight.grad.clone() for name, weight in weights.items() if weight.grad is not None}
    found.step(given, 0, 0)
    for name, gradient in wanted.items():
        torch.testing.assert_close(weights[name].grad, gradient, atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize("part", ["lambda_tumour", "lambda_air", "lambda_latent"])
def test_each_weight_counts(part):
    """With and without it a step comes to other weights."""
    with_it, without = (trainer(replace(SMALL, **{part: weight})) for weight in (2.0, 0.0))
    for one in (with_it, without):
        one.begin(0)
        for step in range(2):
            one.step(batch(), 0, step)
    pairs = zip(weights_of(with_it.autoencoder).values(), weights_of(without.autoencoder).values(), strict=True)
    assert any(not torch.equal(one, other) for one, other in pairs)


def test_a_codebook_is_used_and_a_discriminator_learns_from_its_epoch_on():
    found = trainer(replace(ADVERSARIAL, adversarial_from=1))
    assert float(found.step(batch(), 0, 0)["D"]) == 0
    before = {name: value.clone() for name, value in weights_of(found.networks["discriminator"]).items()}
    codebook = found.autoencoder.quantiser.codebook.clone()  # type: ignore[union-attr]
    curves = found.step(batch(), 1, 0)
    assert float(curves["D"]) > 0
    assert 0 < float(curves["codebook used"]) <= 1
    assert not torch.equal(codebook, found.autoencoder.quantiser.codebook)  # type: ignore[union-attr]
    after = weights_of(found.networks["discriminator"])
    assert any(not torch.equal(value, after[name]) for name, value in before.items())


@pytest.mark.parametrize("config", [SMALL, ADVERSARIAL])
def test_a_training_goes_on_to_the_bit(tmp_path, config):
    config = replace(config, augmented=True)
    whole, half, resumed = trainer(config), trainer(config), trainer(config, seed=5)
    check_goes_on(whole, half, resumed, batch, PLOTS, tmp_path)


def test_the_rate_falls_by_a_cosine():
    found = trainer(replace(SMALL, epochs=4, rate=1.0))
    rates = [found.begin(epoch)["rate"] for epoch in range(4)]
    assert rates == pytest.approx([1, (1 + 0.5**0.5) / 2, 0.5, (1 - 0.5**0.5) / 2])


def test_latents_are_as_coarse_as_they_may_be(scene: Built):
    assert strides_of(levels_for(replace(PRESETS["default"], latent_mm=2.0), scene.plan)) == (2, 2, 2)
    assert strides_of(levels_for(replace(PRESETS["default"], latent_mm=5.0), scene.plan)) == (4, 4, 4)
    assert strides_of(levels_for(replace(PRESETS["default"], latent_mm=0.5), scene.plan)) == (2, 2, 2)  # at least one
    assert strides_of(levels_for(PRESETS["paper"], scene.plan)) == (4, 4, 4)


def test_patches_that_cannot_be_halved_are_refused(scene: Built):
    check(SMALL, scene.plan)
    with pytest.raises(UserError, match="too small for the autoencoder"):
        check(replace(SMALL, largest_patch=6), scene.plan)


def test_it_says_when_it_does_not_learn():
    found = trainer()
    assert not found.remarks({"L1": [1.0] * 5})
    assert not found.remarks({"L1": [1.0] * 10 + [0.5]})
    assert "hardly fallen" in found.remarks({"L1": [1.0] * 12})[0]


def test_previews_are_painted(tmp_path):
    found = learnt(1)
    found.shown = [batch(seed=seed, number=1) for seed in range(2)]
    found.preview(tmp_path / "one.png")
    assert (tmp_path / "one.png").stat().st_size > 1000
