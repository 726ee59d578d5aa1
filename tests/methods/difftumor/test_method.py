"""Tumours in whole sites."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.methods.difftumor.method import DiffTumor
from nnunetv2_tf.methods.lookup import find_method, in_steps
from nnunetv2_tf.networks.autoencoder import strides_of
from nnunetv2_tf.synthesis.fit_result import build_method
from nnunetv2_tf.tumours.soft_map import shares_of
from nnunetv2_tf.working_space.site import Site
from tests.scenes import CPU, Built

SOME = ["one channel", "four channels, two classes", "CT", "thick slices, coarser"]


def ready(scene: Built, **changes) -> DiffTumor:
    selected = find_method("difftumor")
    fit = scene.fit(selected)
    assert fit is not None
    method = build_method(replace(selected, config=replace(selected.config, **changes)), CPU, fit.needed)
    method.load(fit.folder)
    return method


def edited(method: DiffTumor, site: Site, seed: int = 0):
    (result,) = method.edit([site], [np.random.default_rng(seed)])
    return result


@pytest.mark.parametrize("scene", SOME, indirect=True)
def test_an_edit_is_a_soft_map_times_what_differs_from_the_decoded_host(scene: Built):
    site, method = scene.site(0, 1, "difftumor"), ready(scene, edge_mm=(1.0, 1.0))
    seen = []
    original = method._difference
    method._difference = lambda *given: seen.append(original(*given)) or seen[-1]  # type: ignore[method-assign]
    result = edited(method, site)
    sigma = [1.0 / step for step in site.spacing]
    soft = torch.from_numpy(shares_of(site.tumour.numpy() > 0, (True,), site.organ.numpy(), sigma)[0].clip(0, 1))
    change = result.image - site.image
    assert not change[:, soft == 0].any()
    assert change[:, soft > 0.3].abs().mean() > 1e-3
    assert change.abs().max() <= seen[0].abs().max() + 1e-5
    box = method._box(site.tumour.numpy() > 0, site.spacing)
    place = np.argwhere(site.tumour.numpy() > 0)[0]
    inside = tuple(place - [part.start for part in box])
    expected = soft[tuple(place)] * seen[0][(slice(None), *inside)]
    torch.testing.assert_close(change[(slice(None), *place)], expected, atol=1e-5, rtol=1e-4)
    assert result.region is not None
    assert not (result.region & ~site.organ).any()


@pytest.mark.parametrize("scene", SOME, indirect=True)
def test_what_is_worked_on_covers_the_reach(scene: Built):
    site, method = scene.site(0, 1, "difftumor"), ready(scene)
    tumour = site.tumour.numpy() > 0
    box = method._box(tumour, site.spacing)
    places, design = np.argwhere(tumour), method.diffusion.design
    step = np.array(strides_of(method.autoencoder.design.levels))
    size = np.array([part.stop - part.start for part in box])
    assert (size >= step * design.levels.patch).all()  # norms see no less than in training
    assert not (size % (step * strides_of(design.levels))).any()
    for axis, (part, spacing) in enumerate(zip(box, site.spacing, strict=True)):
        assert (places[:, axis].min() - part.start + 1) * spacing >= method.reach_mm
        assert (part.stop - places[:, axis].max()) * spacing >= method.reach_mm


def test_a_map_without_tumour_changes_nothing(scene: Built):
    site = scene.site(0, 1, "difftumor")
    result = edited(ready(scene), replace(site, tumour=torch.zeros_like(site.tumour)))
    assert torch.equal(result.image, site.image)
    assert torch.equal(result.label, site.label)


@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_a_case_is_the_same_by_its_seed_and_differs_by_steps(scene: Built, sampler):
    site = scene.site(0, 1, "difftumor")
    one, again, other = (edited(ready(scene, sampler=sampler), site, seed).image for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    few = edited(ready(scene, sampler=sampler, steps=2), site)
    assert not torch.equal(one, few.image)
    assert few.controls["T"] == 2


def test_steps_are_asked_of_what_takes_some():
    selected = find_method("difftumor")
    assert in_steps(selected, 16).config == replace(selected.config, steps=16)
    with pytest.raises(UserError, match="-T 1001: difftumor is trained with 1000 times"):
        in_steps(selected, 1001)
    with pytest.raises(UserError, match="freetumor draws nothing in steps; leave -T out"):
        in_steps(find_method("freetumor"), 4)
