"""The learner: found by name, fitted and loaded, and no method to make cases with."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from nnunetv2_tf.dataset.cases import channel_names
from nnunetv2_tf.dataset.label_roles import class_values
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.methods.autoencoder.learner import AutoencoderLearner
from nnunetv2_tf.methods.base import FitData
from nnunetv2_tf.methods.lookup import LEARNERS, find_method, method_names, needed_by
from nnunetv2_tf.synthesis.fit_result import learns
from nnunetv2_tf.synthesis.requests import SynthesizeRequest, synthesize
from tests.methods.autoencoder.examples import SMALL
from tests.scenes import CPU, Built
from tests.workspace import TINY, Workspace


def data_of(scene: Built) -> FitData:
    return FitData(
        real=scene.cases[:2],
        healthy=scene.cases[2:],
        sample_site=lambda *_: pytest.fail("it needs no sites"),
        baseline=scene.baseline(),
        plan=scene.plan,
        roles=scene.cases[0].roles,
        channels=channel_names(scene.dataset),
        class_names=class_values(scene.dataset),
        rng=np.random.default_rng(0),
    )


@pytest.mark.parametrize("scene", ["one channel", "four channels, two classes", "CT"], indirect=True)
@pytest.mark.parametrize("codebook", [0, 16])
def test_what_was_fitted_is_what_is_loaded(scene: Built, tmp_path, codebook):
    config = replace(SMALL, epochs=1, iterations=2, codebook=codebook)
    fitted, loaded = (AutoencoderLearner(config, CPU, {}) for _ in range(2))
    fitted.fit(data_of(scene), tmp_path)
    loaded.load(tmp_path)
    image = torch.from_numpy(scene.cases[0].image())[None, :, :8, :8, :8].float()
    body = torch.ones(1, 8, 8, 8, dtype=torch.bool)
    assert torch.equal(fitted.autoencoder.latents(image, body), loaded.autoencoder.latents(image, body))


def test_it_is_found_by_its_name_and_is_no_method():
    assert "autoencoder" in LEARNERS
    assert "autoencoder" not in method_names()
    assert learns(find_method("autoencoder"))
    for preset in ("default", "paper", "brief"):
        (needed,) = needed_by(find_method("difftumor", preset))
        assert (needed.name, needed.preset) == ("autoencoder", preset)


def test_it_makes_no_cases(with_healthy: Workspace):
    request = SynthesizeRequest(
        with_healthy.id, "3d_fullres", (0,), "autoencoder", "601", plans=TINY, set_name="ae", num_cases=1
    )
    with pytest.raises(UserError, match="autoencoder makes no cases; it is fitted for methods that need it"):
        synthesize(request)
