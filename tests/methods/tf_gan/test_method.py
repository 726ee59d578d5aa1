"""What TF-GAN makes of a site: stage 1, refined as far as the generator reaches, and not further."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.methods.tf_gan.config import PRESETS
from nnunetv2_tf.methods.tf_gan.method import STAGE1, TFGAN
from nnunetv2_tf.synthesis.finished import Finished
from tests.scenes import CPU, Built


@pytest.mark.parametrize("scene", ["one channel", "thick slices, coarser"], indirect=True)
def test_it_refines_stage_1_within_its_reach(scene: Built):
    site = scene.site(0, 1, "tf_gan")
    (coarse,) = scene.ready("tf_aug").edit([site], [np.random.default_rng(3)])
    (edited,) = scene.ready("tf_gan").edit([site], [np.random.default_rng(3)])
    assert edited.reach_mm == 6.0
    assert edited.controls == coarse.controls
    assert torch.equal(edited.label, coarse.label)
    distance = np.asarray(distance_transform_edt(site.tumour.numpy() == 0, sampling=site.spacing))
    changed = (edited.image != coarse.image).any(dim=0).numpy()
    assert changed[site.tumour.numpy() > 0].mean() > 0.9
    assert distance[changed].max() < 6.0
    assert not changed[~site.organ.numpy()].any()


def test_beyond_its_reach_the_finished_case_is_stage_1s(scene: Built):
    """With less reach than stage 1, whose soft edge must not be cut."""
    site = scene.site(0, 1, "tf_gan")
    stage1, refining = scene.ready("tf_aug"), scene.ready("tf_gan")
    assert isinstance(refining, TFGAN)
    made = TFGAN(refining.config, CPU, {STAGE1: stage1})
    made.generator = copy.copy(refining.generator)
    made.generator.design = replace(refining.generator.design, reach_mm=3.0)
    z_scored = scene.cases[0].plan.z_scored
    tumour = scene.cases[0].roles.tumour
    coarse, refined = (
        Finished.of(site, method.edit([site], [np.random.default_rng(3)])[0], tumour, z_scored).image
        for method in (stage1, made)
    )
    distance = np.asarray(distance_transform_edt(site.tumour.numpy() == 0, sampling=site.spacing))
    changed = np.abs(refined - coarse).max(axis=0)
    assert changed[site.tumour.numpy() > 0].max() > 10 * changed[distance >= 3.0].max()
    (edited,) = made.edit([site], [np.random.default_rng(3)])
    assert edited.reach_mm == 6.0


def test_donors_are_wanted_where_stage_1_wants_them(scene: Built):
    stage1 = scene.ready("tf_aug")
    assert TFGAN(PRESETS["default"], CPU, {STAGE1: stage1}).pastes is stage1.pastes


def test_a_missing_generator_is_named(scene: Built, tmp_path: Path):
    made = TFGAN(PRESETS["default"], CPU, {STAGE1: scene.ready("tf_aug")})
    with pytest.raises(UserError, match=r"generator\.safetensors is no generator of TF-GAN .*fit again"):
        made.load(tmp_path)
