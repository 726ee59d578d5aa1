"""Training of the diffusion model: that it learns, goes on to the bit, and says what is wrong."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.methods.autoencoder.saved import ScanAutoencoder
from nnunetv2_tf.methods.difftumor import fitting
from nnunetv2_tf.methods.difftumor.fitting import PLOTS, check, latent_range
from nnunetv2_tf.training.loading import as_tensors
from nnunetv2_tf.training.pool import Pool
from nnunetv2_tf.training.real_batches import RealBatches, RealPieces
from tests.methods.autoencoder.examples import batch, design
from tests.methods.difftumor.examples import SMALL, trainer
from tests.methods.going_on import check_goes_on
from tests.methods.pix2pix.examples import SIZE
from tests.scenes import CPU, Built


@pytest.mark.parametrize("config", [SMALL, replace(SMALL, target="e", squared=False, lambda_outside=1.0, times=4)])
def test_the_loss_falls(config):
    found, given = trainer(config), batch()
    losses = [float(found.step(given, 0, step)["loss"]) for step in range(120)]
    assert np.mean(losses[-20:]) < 0.7 * np.mean(losses[:20])


def test_the_loss_in_tumours_is_that_of_latents_near_them():
    found, given = trainer(), batch()
    found.diffusion.denoiser.forward = lambda x, _: torch.zeros_like(x[:, :3])  # type: ignore[method-assign]
    near = found._near(given["tumour"])
    for index in range(2):
        blocks = (given["tumour"][index] > 0).reshape(8, 2, 8, 2, 8, 2).any(dim=5).any(dim=3).any(dim=1)
        padded = np.pad(blocks.numpy(), 1)
        around = np.zeros_like(blocks.numpy())
        for z, y, x in np.ndindex(3, 3, 3):
            around |= padded[z : z + 8, y : y + 8, x : x + 8]
        assert np.array_equal(near[index].numpy(), around)


def test_each_latent_counts_by_its_weight():
    config = replace(SMALL, lambda_outside=0.25)
    found, given = trainer(config), batch()
    _, e = found._drawn([0, 1], [0, 0], torch.zeros(2, 3, 8, 8, 8))
    nothing = torch.zeros(1, requires_grad=True)  # is all that it predicts, whatever it is shown
    found.diffusion.denoiser.forward = lambda x, _: x[:, :3] * 0 + nothing  # type: ignore[method-assign]
    found.design = replace(found.design, target="e")
    each = e.square().mean(dim=1)
    near = found._near(given["tumour"])
    expected = []
    for index in range(2):
        weights = [1.0 if bool(near[(index, *place)]) else 0.25 for place in np.ndindex(8, 8, 8)]
        values = [float(each[(index, *place)]) for place in np.ndindex(8, 8, 8)]
        expected.append(np.average(values, weights=weights))
    assert float(found.step(given, 0, 0)["loss"]) == pytest.approx(np.mean(expected), rel=1e-4)


def test_times_and_noise_depend_on_step_and_place_alone():
    found = trainer()
    like = torch.zeros(2, 3, 8, 8, 8)
    both, second = found._drawn([0, 1], [3, 7], like), found._drawn([1], [3, 7], like[:1])
    assert int(both[0][1]) == int(second[0][0])
    assert torch.equal(both[1][1], second[1][0])
    drawn = [int(found._drawn([0], [0, step], like[:1])[0][0]) for step in range(600)]
    assert (min(drawn), max(drawn)) == (1, 50)


def test_a_training_goes_on_to_the_bit(tmp_path):
    config = replace(SMALL, augmented=True)
    whole, half, resumed = trainer(config), trainer(config), trainer(config, seed=5)
    torch.manual_seed(0)
    same = ScanAutoencoder(design()).eval().requires_grad_(False)
    whole.autoencoder = half.autoencoder = resumed.autoencoder = same
    check_goes_on(whole, half, resumed, batch, PLOTS, tmp_path)
    for name, value in whole.weights().items():
        assert torch.equal(value, resumed.weights()[name])


def test_latents_are_measured_around_tumours(scene: Built, monkeypatch):
    monkeypatch.setattr(fitting, "MEASURED", 3)
    scan = ScanAutoencoder(design()).eval()
    pool = Pool(RealPieces(scene.cases[:2], SIZE, whole=True), 2)
    batches = RealBatches(pool, SIZE, 1.0, 2, 0, every_voxel=True)
    found, extremes = (latent_range(scan, batches, CPU, scaled) for scaled in ("deviation", "range"))
    latents = []
    for number in range(3):
        batch_ = as_tensors(batches.drawn([0, fitting.MEASURE, number]))
        assert (batch_["real_tumour"] > 0).flatten(1).any(dim=1).all()
        with torch.no_grad():
            latents.append(scan.latents(batch_["real_image"], batch_["real_body"]).movedim(1, 0).flatten(1))
    every = torch.cat(latents, dim=1).reshape(1, 3, -1, 1, 1)
    normal, spread = found.normalise(every)[0].flatten(1), extremes.normalise(every)[0].flatten(1)
    torch.testing.assert_close(normal.mean(dim=1), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(normal.std(dim=1), torch.ones(3), atol=1e-3, rtol=0)
    torch.testing.assert_close(spread.amax(dim=1), torch.ones(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(spread.amin(dim=1), -torch.ones(3), atol=1e-4, rtol=0)


def test_small_pieces_of_a_tumour_are_seen_as_often_as_they_are_large(scene: Built):
    """Patches lie around any voxel of it, not around the middle of them all, where there may be none."""
    case = scene.cases[0]
    piece = RealPieces([case], SIZE, whole=True)(0)
    apart = np.zeros_like(piece["tumour"])
    apart[2:4, 2:4, 2:4], apart[-4:-2, -4:-2, -4:-2] = 1, 2
    pool = Pool(lambda _: {**piece, "tumour": apart}, 1)
    drawn = [RealBatches(pool, (8, 8, 8), 1.0, 4, 0, every_voxel=True)(step)["real_tumour"] for step in range(20)]
    seen = [set(np.unique(patch).tolist()) - {0} for batch_ in drawn for patch in batch_]
    assert all(len(classes) == 1 for classes in seen)
    assert np.mean([classes == {1} for classes in seen]) == pytest.approx(0.5, abs=0.15)


def test_patches_that_cannot_be_halved_are_refused(scene: Built):
    check(SMALL, scene.plan)
    with pytest.raises(UserError, match="too small for DiffTumor"):
        check(replace(SMALL, largest_patch=6), scene.plan)


def test_it_says_when_it_does_not_learn():
    found = trainer()
    assert not found.remarks({"in tumours": [1.0] * 5})
    assert not found.remarks({"in tumours": [1.0] * 20 + [0.5]})
    assert "hardly fallen" in found.remarks({"in tumours": [1.0] * 22})[0]


def test_previews_are_painted(tmp_path):
    found = trainer()
    found.shown = [batch(seed=seed, number=1) for seed in range(2)]
    found.preview(tmp_path / "one.png")
    assert (tmp_path / "one.png").stat().st_size > 1000
