"""Tumours in whole sites."""

import numpy as np
import pytest
import torch

from nnunetv2_tf.methods.freetumor.soft_tumours import SoftTumour
from nnunetv2_tf.working_space.site import Site
from tests.scenes import Built


def edited(scene: Built, site: Site, seed: int = 0):
    (result,) = scene.ready("freetumor").edit([site], [np.random.default_rng(seed)])
    return result


@pytest.mark.parametrize("scene", ["one channel", "four channels, two classes", "CT"], indirect=True)
def test_an_edit_is_the_soft_map_times_what_the_generator_adds(scene: Built):
    site = scene.site(0, 1, "freetumor")
    result = edited(scene, site)
    drawn = SoftTumour.draw(site, scene.ready("freetumor").config.edge_mm, np.random.default_rng(0))
    change = (result.image - site.image).abs()
    assert not change[:, torch.from_numpy(drawn.soft == 0)].any()
    assert change[:, torch.from_numpy(drawn.soft > 0.3)].mean() > 0.01
    limit = 2 * 2 * torch.from_numpy(drawn.soft)  # the range is z from -2 to 2, of which all may change
    assert (change <= limit + 1e-4).all()
    assert result.region is not None
    assert not (result.region & ~site.organ).any()
    assert torch.equal(result.label[site.tumour > 0], site.tumour[site.tumour > 0])
    assert result.controls["edge_mm"] == round(drawn.edge_mm, 4)


def test_texture_and_edges_differ_from_case_to_case(scene: Built):
    site = scene.site(0, 1, "freetumor")
    one, again, other = (edited(scene, site, seed).image for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
