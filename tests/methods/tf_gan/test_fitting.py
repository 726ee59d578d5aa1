"""What a training says when one side does not play, and what is refused before it begins."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from nnunetv2_tf.dataset.cases import channel_names
from nnunetv2_tf.dataset.label_roles import class_values
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.methods.base import FitData
from nnunetv2_tf.methods.tf_gan import fitting, patches
from nnunetv2_tf.methods.tf_gan.config import PRESETS
from nnunetv2_tf.methods.tf_gan.fitting import LONG, GANFit, MonitoredGAN, check
from tests.scenes import Built

CURVES = {"D's AUC, patch": 0.7, "D's AUC, whole": 0.6, "change in the tumour": 0.1}


def remarks(**changed: float) -> list[str]:
    names = {"patch": "D's AUC, patch", "whole": "D's AUC, whole", "change": "change in the tumour"}
    values = {**CURVES, **{names[name]: value for name, value in changed.items()}}
    curves = {name: [value] * LONG for name, value in values.items()}
    return MonitoredGAN.remarks(object.__new__(MonitoredGAN), curves)


def test_nothing_is_said_of_a_game_that_goes_on():
    assert remarks() == []


def test_a_discriminator_that_has_won_is_told_of():
    (sentence,) = remarks(patch=0.99)
    assert "AUC has been above 0.98 for 20 epochs (patch)" in sentence
    assert "lower rate_d" in sentence
    assert len(remarks(patch=0.99, whole=1.0)) == 2


def test_a_discriminator_that_tells_nothing_apart_is_told_of():
    (sentence,) = remarks(patch=0.5)
    assert "AUC has been below 0.55 for 20 epochs" in sentence


def test_a_generator_that_does_nothing_is_told_of():
    (sentence,) = remarks(change=1e-4)
    assert "returns its input nearly unchanged" in sentence


def fit(scene: Built, folder, **changes) -> GANFit:
    data = FitData(
        real=scene.cases, healthy=scene.cases, sample_site=lambda rng, *_: None,  # type: ignore[arg-type,return-value]
        baseline=scene.baseline(), plan=scene.plan, roles=scene.cases[0].roles, channels=channel_names(scene.dataset),
        class_names=class_values(scene.dataset), rng=np.random.default_rng(0),
    )  # fmt: skip
    config = replace(PRESETS["default"], **changes)
    return GANFit(config, data, scene.ready("tf_aug"), folder, torch.device("cpu"))


def test_networks_follow_the_plans(scene: Built, tmp_path):
    """The tiny plans' patch of 24 allows three levels; their network is 8, 16 and 32 wide."""
    design = fit(scene, tmp_path).design
    assert design.features[:3] == tuple(scene.plan.manager.network_arch_init_kwargs["features_per_stage"][:3])
    assert design.channels == tuple(scene.plan.dataset_json["channel_names"].values())
    assert fit(scene, tmp_path, features=(3, 5)).design.features == (3, 5, 5, 5, 5, 5)


def test_patches_are_as_large_as_the_median_tumour_within_limits(scene: Built, tmp_path, monkeypatch):
    whole = fit(scene, tmp_path, around_tumours=False)
    assert whole.design.levels.patch == tuple(scene.plan.manager.patch_size)
    assert fit(scene, tmp_path, around_tumours=False, largest_patch=16).design.levels.patch == (16, 16, 16)
    tumours = [np.argwhere(case.open().tumour() > 0) for case in scene.cases]
    monkeypatch.setattr(patches, "SMALLEST", 4)
    median = np.median([np.ptp(places, axis=0) + 1 for places in tumours], axis=0)
    found = fit(scene, tmp_path).design.levels
    divided = np.prod(found.strides, axis=0)
    expected = np.minimum(median.astype(int), scene.plan.manager.patch_size)
    assert (np.array(found.patch) >= expected).all()
    assert (np.array(found.patch) < expected + divided).all()
    monkeypatch.setattr(patches, "SMALLEST", 1000)
    assert fit(scene, tmp_path).design.levels.patch == whole.design.levels.patch


def test_some_patients_are_held_out(scene: Built, tmp_path):
    """Patients, not scans; none, where there are few."""
    made = fit(scene, tmp_path)
    assert sorted([*made.patches.learnt, *made.held_out]) == list(range(len(scene.cases)))
    cases = [replace(scene.cases[0], group=("", f"patient {index // 2}")) for index in range(20)]
    held_out = patches.held_out_of(cases, 0.2, np.random.default_rng(0))
    assert len(held_out) == 4
    assert {index // 2 for index in held_out} == {index // 2 for index in held_out[::2]}
    assert patches.held_out_of(cases, 0.0, np.random.default_rng(0)) == []
    assert patches.held_out_of(cases[:6], 0.2, np.random.default_rng(0)) == []
    assert len(patches.held_out_of(cases[:8], 0.01, np.random.default_rng(0))) == 2
    assert held_out != patches.held_out_of(cases, 0.2, np.random.default_rng(1))


def test_what_cannot_be_trained_is_refused(scene: Built):
    """Before anything is written."""
    config = PRESETS["default"]
    check(config, scene.plan, 2)
    with pytest.raises(UserError, match=r"A batch of 2 patches .* by 3 processes; take -num_gpus 1 or 2\."):
        check(config, scene.plan, 3)
    with pytest.raises(UserError, match=r"patch of .* voxels is too small for TF-GAN"):
        check(replace(config, largest_patch=6), scene.plan, 1)


def test_those_held_out_are_neither_learnt_from_nor_in_fakes(scene: Built, tmp_path, monkeypatch):
    """From the fit to what it hands on."""
    monkeypatch.setattr(patches, "FEWEST", 2)
    made = fit(scene, tmp_path)
    held_out, learnt = made.held_out, made.patches.learnt
    names = frozenset(scene.cases[index].identifier for index in held_out)
    assert names
    assert made.patches.pieces.sample_site.without == names  # type: ignore[union-attr]
    assert not set(learnt) & set(held_out)
    drawn = []
    monkeypatch.setattr(type(made.patches), "real", lambda _, __, numbers: drawn.append(*numbers) or {"x": np.zeros(1)})
    for stream, numbers in ((fitting.SCALE, learnt), (fitting.HELD_OUT, held_out)):
        drawn.clear()
        batches = list(made._real_patches(stream, numbers))
        assert set(drawn) == set(numbers)
        assert sum(len(one["place"]) for one in batches) == len(drawn) == fitting.DRAWS * len(numbers)
    monkeypatch.setitem(fitting.MOST_PATCHES, fitting.HELD_OUT, 3)
    drawn.clear()
    list(made._real_patches(fitting.HELD_OUT, list(range(100))))
    assert drawn == [0, 1, 2]  # of different patients


def test_plots_are_of_the_losses_that_there_are(scene: Built, tmp_path):
    for weights, expected in (((0.0, 1.0), ["texture"]), ((1.0, 0.0), ["perceptual"]), ((0.0, 0.0), None)):
        groups = fit(scene, tmp_path, lambda_d=weights[0], lambda_e=weights[1]).loop.schedule.groups
        assert groups.get("similarity") == expected


def test_an_epoch_has_as_many_steps_as_the_settings_say(scene: Built, tmp_path):
    """Whatever the cohort."""
    assert fit(scene, tmp_path).loop.schedule.steps == 250
    assert fit(scene, tmp_path, iterations=7).loop.schedule.steps == 7
