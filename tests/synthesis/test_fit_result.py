"""What a fit has left, and methods made ready by it."""

from dataclasses import replace

import pytest
import torch

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.methods.lookup import find_method
from nnunetv2_tf.methods.tf_gan.networks import WEIGHTS, read_generator
from nnunetv2_tf.synthesis.fit_result import build_method, learns
from tests.scenes import CPU, Built


@pytest.mark.parametrize(
    ("name", "fitted"),
    [("carvemix", False), ("tests.methods.examples:Glow", False), ("tf_aug", True), ("tf_gan", True)],
)
def test_a_method_learns_if_it_says_how(name, fitted):
    assert learns(find_method(name)) is fitted


def test_a_method_is_made_with_its_presets_settings(scene: Built):
    selected = find_method("carvemix", "paper")
    method = build_method(selected, CPU)
    assert isinstance(method, selected.method_class)
    assert method.config == selected.config
    assert method.device == CPU
    assert method.fitted == {}


def test_a_fit_is_loaded_together_with_those_it_builds_on(scene: Built):
    fit = scene.fit(find_method("tf_gan"))
    assert fit is not None
    assert [needed.method.name for needed in fit.needed] == ["tf_aug"]
    method = fit.load(CPU)
    assert isinstance(method, find_method("tf_gan").method_class)
    assert list(method.fitted) == ["tf_aug"]
    (first,) = fit.needed
    alone = first.load(CPU)
    assert method.fitted["tf_aug"].fitted_to == alone.fitted_to  # type: ignore[attr-defined]
    unfitted = build_method(fit.method, CPU, fit.needed)
    assert unfitted.fitted["tf_aug"].fitted_to == alone.fitted_to  # type: ignore[attr-defined]


def test_a_fit_is_read_from_its_own_folder(scene: Built, tmp_path):
    fit = scene.fit(find_method("tf_gan"))
    assert fit is not None
    expected = read_generator(fit.folder / WEIGHTS, "fit again.").weights()
    loaded = fit.load(CPU).generator.weights()  # type: ignore[attr-defined]
    assert loaded.keys() == expected.keys()
    assert all(torch.equal(loaded[name], value) for name, value in expected.items())
    with pytest.raises(UserError, match=f"{WEIGHTS} .*fit again with --overwrite"):
        replace(fit, folder=tmp_path).load(CPU)
