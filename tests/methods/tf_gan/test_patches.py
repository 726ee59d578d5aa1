"""What batches are made of: sites and cases of scenes."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from nnunetv2_tf.errors import UserError
from nnunetv2_tf.methods.lookup import find_method
from nnunetv2_tf.methods.tf_gan.domain import Domain
from nnunetv2_tf.methods.tf_gan.networks import WEIGHTS, read_generator, write_generator
from nnunetv2_tf.methods.tf_gan.patches import Patches, distance_to
from nnunetv2_tf.synthesis.making import build
from tests.methods.tf_gan.examples import design, generator
from tests.scenes import Built


def patches(scene: Built, seed: int = 0, centred: float = 1.0) -> Patches:
    found = find_method("tf_aug")
    stage1 = build(found, scene.learnt(found))

    def sample_site(rng: np.random.Generator):
        host, donor = rng.permutation(len(scene.cases))[:2]
        task = scene.task(int(host), int(donor), "tf_aug")
        return task.sites.make(task.line, task.host, True).site

    return Patches(sample_site, stage1, scene.cases, (16, 24, 16), 6.0, 6.0, centred, range(2), seed)


@pytest.mark.parametrize("scene", ["one channel", "four channels, two classes", "CT"], indirect=True)
def test_a_batch(scene: Built):
    made = patches(scene)(3)
    channels = len(scene.plan.dataset_json["channel_names"])
    for name in ("host", "coarse", "real_image"):
        assert made[name].shape == (2, channels, 16, 24, 16)
        assert made[name].dtype == np.float32
    for name in ("tumour", "body", "organ", "distance", "real_tumour", "real_body"):
        assert made[name].shape == (2, 16, 24, 16)
    for index in range(2):
        assert made["tumour"][index].any()
        assert made["real_tumour"][index].any()
        assert (made["coarse"][index] != made["host"][index])[:, made["tumour"][index] > 0].any()
        assert not made["distance"][index][made["tumour"][index] > 0].any()
        far = made["distance"][index] >= 6.0
        np.testing.assert_allclose(made["coarse"][index][:, far], made["host"][index][:, far], atol=1e-3)


def test_what_lies_beyond_a_patch_counts_where_the_case_is_normalised_anew(scene: Built):
    """The sums over a small patch and those beyond it are those of the whole site."""
    small, large = (replace(patches(scene), size=(size,) * 3) for size in (8, 64))
    for index in range(5):
        part, whole = (source.fake(np.random.default_rng([3, index])) for source in (small, large))
        assert np.abs(whole["beyond"]).max() < 1e-3  # all of it is in the patch
        sums = []
        for patch in (part, whole):
            share = (1 + np.cos(np.pi * np.minimum(patch["distance"] / 6.0, 1))) / 2 * patch["organ"]
            made = patch["host"] + share * (patch["coarse"] - patch["host"])
            both = (made - patch["host"], made**2 - patch["host"] ** 2)
            sums.append(np.stack([one.sum(axis=(1, 2, 3)) for one in both]) + patch["beyond"])
        np.testing.assert_allclose(sums[0], sums[1], rtol=1e-3, atol=1e-2)


def test_a_step_is_the_same_whenever_it_is_made_and_every_step_is_new(scene: Built):
    one, again, other = patches(scene)(5), patches(scene)(5), patches(scene)(6)
    assert all(np.array_equal(one[name], again[name]) for name in one)
    assert not np.array_equal(one["host"], other["host"])
    assert not np.array_equal(patches(scene, seed=1)(5)["host"], one["host"])


def test_processes_share_a_batch(scene: Built):
    """Each fills every other place, with what one process would put there."""
    whole = patches(scene)(3)
    for rank in (0, 1):
        part = replace(patches(scene), places=range(rank, 2, 2))(3)
        assert part["place"].tolist() == [rank]
        assert all(np.array_equal(part[name][0], whole[name][rank]) for name in whole)


def test_real_and_fake_lie_alike_in_their_patches(scene: Built):
    """The middle of the tumour is within a fourth of the patch of its middle, unless the scan ends there."""
    source = patches(scene)
    for draw, name in ((source.fake, "tumour"), (source.real, "real_tumour")):
        middles = []
        for index in range(30):
            tumour = draw(np.random.default_rng([7, index]))[name]
            places = np.argwhere(tumour > 0)
            middles.append(((places.min(axis=0) + places.max(axis=0) + 1) / 2 - np.array([8, 12, 8])) / [16, 24, 16])
        assert np.std(middles) > 0.05
        assert np.abs(np.mean(middles, axis=0)).max() < 0.2


def test_some_patches_lie_anywhere(scene: Built):
    source = replace(patches(scene, centred=0.0), size=(8, 8, 8))
    empty = [not source.real(np.random.default_rng(index))["real_tumour"].any() for index in range(40)]
    assert any(empty)


def test_distances(scene: Built):
    tumour = scene.cases[0].tumour()
    spacing = (2.0, 1.0, 0.5)
    expected = np.minimum(np.asarray(distance_transform_edt(tumour == 0, sampling=spacing)), 5.0)
    np.testing.assert_allclose(distance_to(tumour, spacing, 5.0), expected, rtol=1e-6)


def test_the_range_is_that_of_real_bodies(scene: Built):
    domain = Domain.of(scene.cases)
    values = np.concatenate([case.image()[0][case.body()] for case in scene.cases])
    low, high = np.percentile(values, [0.5, 99.5])
    assert domain.low[0] == pytest.approx(low, abs=0.1)
    assert domain.high[0] == pytest.approx(high, abs=0.1)
    z = torch.tensor([domain.low[0], domain.high[0], 9.0]).reshape(1, 1, 1, 1, 3)
    body = torch.tensor([True, True, False]).reshape(1, 1, 1, 3)
    assert domain.into(z, body).flatten().tolist() == pytest.approx([-1, 1, -1])
    step = domain.into(z + domain.change(torch.tensor(0.25)), torch.ones_like(body)) - domain.into(
        z, torch.ones_like(body)
    )
    assert step.flatten().tolist() == pytest.approx([0.25] * 3, abs=1e-5)


@pytest.fixture
def read() -> Callable:
    return lambda path: read_generator(path, "fit again.")


def test_a_generator_comes_back_from_its_file(tmp_path, read):
    own = generator(channels=2, classes=(1, 3))
    write_generator(tmp_path / WEIGHTS, own.design, own.weights())
    found = read(tmp_path / WEIGHTS)
    assert found.design == own.design == design(2, (1, 3))
    x, m = torch.rand(1, 2, 16, 16, 16), torch.rand(1, 2, 16, 16, 16)
    assert torch.equal(found(x, m), own(x, m))
    assert not any(weight.requires_grad for weight in found.parameters())


def test_what_is_no_generator_is_refused(tmp_path, read):
    path = tmp_path / WEIGHTS
    with pytest.raises(UserError, match=f"{WEIGHTS} is no generator of TF-GAN"):
        read(path)
    path.write_bytes(b"nothing")
    with pytest.raises(UserError, match="fit again"):
        read(path)
    own = generator()
    write_generator(path, own.design, {name: value for name, value in own.weights().items() if "head" not in name})
    with pytest.raises(UserError, match="2 weights are another network's, such as network.head.bias"):
        read(path)
