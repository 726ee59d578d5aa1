"""Where a fit begins, what it keeps of every epoch, and that it goes on where it was stopped."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from nnunetv2_tf.dataset.cases import channel_names
from nnunetv2_tf.dataset.label_roles import class_values
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.json_dataclass import read_record
from nnunetv2_tf.methods.base import FitData
from nnunetv2_tf.methods.tf_aug import samples
from nnunetv2_tf.methods.tf_aug.config import PRESETS, TFAugConfig
from nnunetv2_tf.methods.tf_aug.fitting import FINAL, LATEST, IntensityMap, IntensityMapFit
from nnunetv2_tf.training.pool import PoolFolder
from tests.scenes import CPU, Built

SHORT = replace(PRESETS["default"], pool=3, iterations=2, epochs=2)


def fit(scene: Built, folder, config: TFAugConfig) -> IntensityMapFit:
    data = FitData(
        real=scene.cases,
        healthy=scene.cases,
        sample_site=lambda rng, *_: scene.site(int(rng.integers(2)), 2, "tf_aug"),
        baseline=scene.baseline(),
        plan=scene.plan,
        roles=scene.cases[0].roles,
        channels=channel_names(scene.dataset),
        class_names=class_values(scene.dataset),
        rng=np.random.default_rng(0),
    )
    return IntensityMapFit(config, data, folder, CPU)


def test_the_papers_fit_begins_by_changing_nothing(scene: Built, tmp_path):
    found = fit(scene, tmp_path, replace(PRESETS["paper"], epochs=0)).run()
    assert found.classes == (1, 2, 3)
    assert found.names == ("NCR", "ED", "ET")
    np.testing.assert_allclose(found.a, np.ones((3, 1)), atol=1e-6)
    np.testing.assert_array_equal(found.b, np.zeros((3, 1)))


def test_the_default_begins_at_the_brightness_of_real_tumours(scene: Built, tmp_path):
    """A coarse class, normalised as nnU-Net will, is on average as bright as the real ones."""
    run = fit(scene, tmp_path, replace(SHORT, epochs=0))
    state = run.run()
    a, b = np.array(state.a)[:, 0], np.array(state.b)[:, 0]
    for k, value in enumerate(state.classes):
        real = np.mean([case.image()[0][case.tumour() == value].mean() for case in scene.cases])
        coarse = []
        for sample in run.pool:
            inside = sample.label.numpy() == value
            if inside.sum() > 1:
                image = a[k] * sample.blurred.numpy()[0] + b[k] + sample.detail.numpy()[0]
                coarse.append(image[inside].mean())
        mean, sd = run.extractor.normalised_by(run.pool, np.array(state.a), np.array(state.b))
        assert (np.mean(coarse) - mean[0]) / sd[0] == pytest.approx(real, abs=0.1)


def test_every_epoch_leaves_its_loss_and_its_numbers(scene: Built, tmp_path):
    state = fit(scene, tmp_path, SHORT).run()
    assert len(state.losses) == len(state.path_a) == len(state.path_b) == 2
    assert state.path_a[-1] == state.a
    assert min(min(row) for row in state.a) > 0
    assert read_record(IntensityMap, tmp_path / FINAL, "") == state
    assert not (tmp_path / LATEST).exists()


def test_coarse_tumours_are_kept_until_the_fit_has_ended(scene: Built, tmp_path, monkeypatch):
    expected = fit(scene, tmp_path / "plain", SHORT).run()
    kept = [fit(scene, tmp_path / name, SHORT) for name in ("first", "second")]
    for each in kept:
        each.data = replace(each.data, pool=PoolFolder(tmp_path / "pool", "source"))
    assert kept[0].run() == expected
    assert len(list((tmp_path / "pool").iterdir())) == SHORT.pool
    monkeypatch.setattr(samples, "sample_of", None)  # nothing is made any more
    assert kept[1].run() == expected


def test_a_stopped_fit_goes_on_to_the_same_numbers(scene: Built, tmp_path, monkeypatch):
    whole = fit(scene, tmp_path / "whole", SHORT).run()
    one_epoch = IntensityMapFit._epoch

    def stopped(self, state):
        if state.losses:
            raise KeyboardInterrupt
        return one_epoch(self, state)

    with monkeypatch.context() as patch:
        patch.setattr(IntensityMapFit, "_epoch", stopped)
        with pytest.raises(KeyboardInterrupt):
            fit(scene, tmp_path / "stopped", SHORT).run()
    assert fit(scene, tmp_path / "stopped", SHORT).run() == whole


def test_numbers_that_are_none_end_it_with_a_sentence(scene: Built, tmp_path):
    run = fit(scene, tmp_path, replace(SHORT, learning_rate=float("inf")))
    with pytest.raises(UserError, match="came to values that are no numbers; fit with another -seed"):
        run.run()
    assert not (tmp_path / FINAL).exists()
    assert torch.is_grad_enabled()
