"""Images of whole sites."""

from dataclasses import replace

import numpy as np
import torch

from nnunetv2_tf.methods.base import Edited, Site
from tests.scenes import Built


def edited(scene: Built, site: Site) -> Edited:
    (result,) = scene.ready("pix2pix").edit([site], [np.random.default_rng(0)])
    return result


def test_all_of_the_organ_is_made_anew_and_nothing_else(scene: Built):
    site = scene.site(0, 1, "pix2pix")
    result = edited(scene, site)
    changed = (result.image != site.image).any(dim=0)
    assert changed[site.organ].float().mean() > 0.99
    assert not changed[~site.organ].any()
    assert result.reach_mm is None
    assert torch.equal(result.label[site.tumour > 0], site.tumour[site.tumour > 0])


def test_the_hosts_image_does_not_matter_and_the_map_does(scene: Built):
    site = scene.site(0, 1, "pix2pix")
    brighter = replace(site, image=site.image + 1)
    assert torch.equal(edited(scene, site).image[:, site.organ], edited(scene, brighter).image[:, site.organ])
    assert not torch.equal(edited(scene, site).image, edited(scene, scene.site(0, 2, "pix2pix")).image)
