"""What discriminator and encoder are shown."""

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from nnunetv2_tf.methods.tf_gan.gan_step import GANTrainer
from nnunetv2_tf.methods.tf_gan.shown import FeatureScale, Shown
from tests.methods.tf_gan.examples import batch
from tests.methods.tf_gan.test_gan_step import game


def shown_in_a_step(found: GANTrainer, one: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch) -> list:
    """Fake and real images as they are shown in a step."""
    seen = []
    original = type(found.view).of
    monkeypatch.setattr(type(found.view), "of", lambda *given: seen.append(original(*given)) or seen[-1])
    found.step(one, 0, 0)
    monkeypatch.undo()
    return seen[:2]


def test_discriminator_and_encoder_see_what_may_change(monkeypatch):
    """Whatever lies beyond the reach, they are told the same; of the tumour they see all."""
    one = batch(seed=3)
    several = []
    for far in (0.0, 5.0):
        other = {name: value.clone() for name, value in one.items()}
        for name in ("host", "coarse", "real_image"):
            hidden = (one["distance"] >= 2.5)[:, None].expand_as(one[name])
            other[name][hidden] += far * one["body"][:, None].expand_as(one[name])[hidden]
        with pytest.MonkeyPatch.context() as plainly:
            plainly.setattr("nnunetv2_tf.methods.tf_gan.gan_step.renormalised", lambda edited, *_: edited)
            several.append(shown_in_a_step(game(reach_mm=2.5), other, monkeypatch))
    for before, after in zip(*several, strict=True):
        torch.testing.assert_close(before.x, after.x)
        torch.testing.assert_close(list(before.features), list(after.features))
        assert before.x[one["tumour"][:, None] > 0].std() > 0.1
        assert (before.x[(one["distance"] >= 2.5)[:, None]] == -1).all()
        assert not before.visible[(one["distance"] >= 2.5)[:, None]].any()


def test_the_surface_of_the_organ_is_not_seen(monkeypatch):
    """Where the rim hides it: in its outer half, even inside tumours."""
    one = batch(seed=3)
    one["tumour"][:, :, :, 4:] = 1
    for name in ("distance", "real_distance"):
        one[name][:] = 0
    depth = torch.from_numpy(distance_transform_edt(one["organ"][0]))
    for shown in shown_in_a_step(game(rim_mm=4.0), one, monkeypatch):
        assert (shown.x[:, 0, (depth > 0) & (depth < 1.5)] == -1).all()
        assert (shown.x[:, 0, depth > 6] != -1).all()


def test_what_is_dark_says_nothing_of_tumours():
    visible = torch.tensor([0.0, 0.4, 0.5, 1.0]).reshape(1, 1, 1, 1, 4)
    shown = Shown(visible, visible, visible, (), visible)
    assert shown.visible_part(torch.full((1, 1, 1, 4), 3)).flatten().tolist() == [0, 0, 3, 3]
    m, values = torch.ones(1, 1, 1, 1, 4), torch.tensor([9.0, 9.0, 1.0, 3.0]).reshape(1, 1, 1, 1, 4)
    seen = torch.tensor([0.0, 0.0, 1.0, 1.0]).reshape(1, 1, 1, 1, 4)
    assert FeatureScale.of([Shown(values, m, seen, (), values)]).means[0].tolist() == [2.0]


def test_where_no_tumour_is_seen_features_are_taken_as_they_are():
    """As where an organ's rim hides small ones."""
    m, values = torch.ones(1, 1, 2, 2, 2), torch.rand(1, 3, 2, 2, 2)
    hidden = Shown(values, m, torch.zeros_like(m), (values,), values)
    torch.testing.assert_close(FeatureScale.of([hidden]).features(hidden)[0], values)


def test_features_are_scaled_by_real_tumours():
    """In patches of unequal amounts of tumour, every voxel counts alike."""
    rng, several, voxels = np.random.default_rng(0), [], []
    for share in (0.1, 0.5):
        m = torch.from_numpy((rng.random((1, 1, 8, 8, 8)) < share).astype(np.float32))
        values = torch.from_numpy(rng.normal(3.0 * share, 2.0, size=(1, 3, 8, 8, 8)).astype(np.float32))
        several.append(Shown(values[:, :1], m, torch.ones_like(m), (values,), values))
        voxels.append(values[0][:, m[0, 0] > 0])
    inside = torch.cat(voxels, dim=1)
    scale = FeatureScale.of(several)
    torch.testing.assert_close(scale.means[0], inside.mean(dim=1), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(scale.sds[1], inside.std(dim=1, correction=0), rtol=1e-4, atol=1e-4)
    scaled = torch.cat([scale.features(one)[0][0][:, one.m[0, 0] > 0] for one in several], dim=1)
    torch.testing.assert_close(scaled.mean(dim=1), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(scaled, torch.cat([scale.bands(one)[0][:, one.m[0, 0] > 0] for one in several], dim=1))
