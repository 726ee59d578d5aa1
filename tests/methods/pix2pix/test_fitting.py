"""Training of Pix2Pix: who learns from what, schedule, resume to the bit, batches of cases."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.methods.pix2pix.config import PRESETS, Pix2PixConfig
from nnunetv2_tf.methods.pix2pix.fitting import PLOTS, Pix2PixTrainer, check
from nnunetv2_tf.methods.pix2pix.networks import condition_of
from nnunetv2_tf.networks.saved import weights_of
from nnunetv2_tf.training.patches import real_piece
from nnunetv2_tf.training.pool import Pool
from nnunetv2_tf.training.real_batches import RealBatches
from tests.methods.going_on import check_goes_on
from tests.methods.pix2pix.examples import CLASSES, SPACING, batch, design
from tests.scenes import CPU, EXACT, Built

SMALL = replace(PRESETS["default"], augmented=False, discriminator_width=4, epochs=10)


def trainer(config: Pix2PixConfig = SMALL, channels: int = 1, seed: int = 0) -> Pix2PixTrainer:
    return Pix2PixTrainer(config, design(channels), SPACING, seed, CPU, EXACT)


@pytest.mark.parametrize("channels", [1, 4])
def test_both_learn(channels):
    found = trainer(channels=channels)
    networks = (found.generator, found.discriminator)
    before = [{name: value.clone() for name, value in weights_of(network).items()} for network in networks]
    curves = found.step(batch(channels), 0, 0)
    assert all(torch.isfinite(value) for value in curves.values())
    for was, network in zip(before, networks, strict=True):
        assert any(not torch.equal(value, was[name]) for name, value in weights_of(network).items())


def test_it_learns_what_classes_look_like_and_a_changed_map_changes_the_image_there():
    found = trainer(replace(SMALL, rate=2e-3))
    first = last = float(found.step(batch(seed=0), 0, 0)["L1"])
    for step in range(80):
        last = float(found.step(batch(seed=step % 5), 0, step)["L1"])
    assert last < first / 2
    one, generator = batch(seed=9), found.generator.eval()
    tumour, organ = one["real_tumour"], one["real_organ"]
    with torch.no_grad():
        made = generator(condition_of(tumour, organ, CLASSES))
        other = generator(condition_of(torch.where(tumour == 1, 3, tumour), organ, CLASSES))
    dark, bright = (float(made[(tumour == value)[:, None]].mean()) for value in CLASSES)
    assert dark < -0.25 < 0.25 < bright  # the range is z from -2 to 2
    moved = (other - made).abs()[:, 0]
    assert float(moved[tumour == 1].mean()) > 5 * float(moved[tumour == 0].mean())


def test_what_lies_outside_the_organ_is_not_looked_at():
    one = batch()
    neighbours = {**one, "real_body": torch.ones_like(one["real_body"]), "real_image": one["real_image"].clone()}
    neighbours["real_image"][~one["real_organ"][:, None]] = 1.5
    with_air, with_neighbours = (trainer().step(seen, 0, 0) for seen in (one, neighbours))
    assert with_air == with_neighbours


def test_the_rate_stays_and_then_falls():
    found = trainer(replace(SMALL, epochs=10, rate=1.0))
    rates = [found.begin(epoch)["rate"] for epoch in range(10)]
    np.testing.assert_allclose(rates, [1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2])
    assert trainer(replace(SMALL, epochs=1)).begin(0)["rate"] == SMALL.rate


def test_l1_of_the_paper_counts_air_too():
    inside, all_of_it = (
        float(trainer(replace(SMALL, l1_in_organ=inside)).step(batch(), 0, 0)["L1"]) for inside in (True, False)
    )
    one = batch()
    with torch.no_grad():
        made = trainer().generator(condition_of(one["real_tumour"], one["real_organ"], CLASSES))
    y = design().domain.normalise(one["real_image"], one["real_body"])
    difference = (made - y).abs()[:, 0]
    assert all_of_it == pytest.approx(float(difference.mean()), rel=1e-4)
    by_image = [float(difference[index][one["real_organ"][index]].mean()) for index in range(2)]
    assert inside == pytest.approx(np.mean(by_image), rel=1e-4)


def test_a_training_goes_on_to_the_bit(tmp_path):
    config = replace(SMALL, augmented=True, epochs=2)
    whole, half, resumed = trainer(config), trainer(config), trainer(config, seed=5)
    check_goes_on(whole, half, resumed, batch, PLOTS, tmp_path)


def test_batches_are_of_cases_and_depend_on_the_step_alone(scene: Built):
    size = (8, 12, 8)
    cases = Pool(lambda number: real_piece(scene.cases[number], size, 1.0, True), len(scene.cases))
    batches = RealBatches(cases, size, 0.5, 2, 3)
    one, again, other = batches(4), batches(4), batches(5)
    for name, array in one.items():
        np.testing.assert_array_equal(array, again[name])
    assert one["real_image"].shape == (2, 1, *size)
    assert not np.array_equal(one["real_image"], other["real_image"])


def test_patches_that_cannot_be_halved_are_refused(scene: Built):
    check(SMALL, scene.plan)
    with pytest.raises(UserError, match="too small for Pix2Pix"):
        check(replace(SMALL, largest_patch=6), scene.plan)


def test_it_says_when_it_does_not_learn():
    found = trainer()
    assert not found.remarks({"L1": [1.0] * 5})
    assert not found.remarks({"L1": [1.0] * 10 + [0.5]})
    assert "hardly fallen" in found.remarks({"L1": [1.0] * 12})[0]


def test_previews_are_painted(tmp_path):
    found = trainer()
    found.shown = [{name: value[:1] for name, value in batch(seed=seed).items()} for seed in range(2)]
    found.preview(tmp_path / "one.png")
    assert (tmp_path / "one.png").stat().st_size > 1000
    assert found.generator.training
