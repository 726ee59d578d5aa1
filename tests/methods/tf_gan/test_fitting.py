"""What a training says when one side does not play, and what is refused before it begins."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from nnunetv2_tf.dataset.cases import channel_names
from nnunetv2_tf.dataset.label_roles import class_values
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.methods.base import FitData
from nnunetv2_tf.methods.tf_gan.config import PRESETS
from nnunetv2_tf.methods.tf_gan.fitting import LONG, GANFit, MonitoredGAN, check
from tests.scenes import Built

CURVES = {"D right, patch": 0.7, "D right, whole": 0.6, "change in the tumour": 0.1}


def remarks(**changed: float) -> list[str]:
    curves = {
        name: [changed.get(name.replace(", ", "_").replace(" ", "_"), value)] * LONG for name, value in CURVES.items()
    }
    return MonitoredGAN.remarks(object.__new__(MonitoredGAN), curves)


def test_nothing_is_said_of_a_game_that_goes_on():
    assert remarks() == []


def test_a_discriminator_that_has_won_is_told_of():
    (sentence,) = remarks(D_right_patch=0.99)
    assert "right 98 % of the time for 20 epochs (patch)" in sentence
    assert "lower rate_d" in sentence
    assert len(remarks(D_right_patch=0.99, D_right_whole=1.0)) == 2


def test_a_generator_that_does_nothing_is_told_of():
    (sentence,) = remarks(change_in_the_tumour=1e-4)
    assert "returns its input nearly unchanged" in sentence


def fit(scene: Built, folder, **changes) -> GANFit:
    data = FitData(
        real=scene.cases, healthy=scene.cases, sample_site=lambda rng: None,  # type: ignore[arg-type,return-value]
        baseline=scene.baseline(), plan=scene.plan, roles=scene.cases[0].roles, channels=channel_names(scene.dataset),
        class_names=class_values(scene.dataset), rng=np.random.default_rng(0),
    )  # fmt: skip
    config = replace(PRESETS["default"], prototypes=False, **changes)
    return GANFit(config, data, scene.ready("tf_aug"), folder, torch.device("cpu"))


def test_networks_follow_the_plans(scene: Built, tmp_path):
    """The tiny plans' patch of 24 allows three levels; their network is 8, 16 and 32 wide."""
    design = fit(scene, tmp_path).design
    assert design.levels.patch == tuple(scene.plan.manager.patch_size)
    assert design.features[:3] == tuple(scene.plan.manager.network_arch_init_kwargs["features_per_stage"][:3])
    assert design.channels == tuple(scene.plan.dataset_json["channel_names"].values())
    assert fit(scene, tmp_path, features=(3, 5)).design.features == (3, 5, 5, 5, 5, 5)
    assert fit(scene, tmp_path, largest_patch=16).design.levels.patch == (16, 16, 16)


def test_what_cannot_be_trained_is_refused(scene: Built):
    """Before anything is written."""
    config = PRESETS["default"]
    check(config, scene.plan, 2)
    with pytest.raises(UserError, match=r"A batch of 2 patches .* by 3 processes; take -num_gpus 1 or 2\."):
        check(config, scene.plan, 3)
    with pytest.raises(UserError, match=r"patch of .* voxels is too small for TF-GAN"):
        check(replace(config, largest_patch=6), scene.plan, 1)


def test_an_epoch_is_a_site_per_healthy_scan(scene: Built, tmp_path):
    assert fit(scene, tmp_path).loop.schedule.steps == len(scene.cases) // 2
    assert fit(scene, tmp_path, iterations=1).loop.schedule.steps == 1
    assert fit(scene, tmp_path, batch=100).loop.schedule.steps == 1
