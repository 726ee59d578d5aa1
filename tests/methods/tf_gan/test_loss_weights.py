"""Weights of losses by what arrives at tumour voxels."""

from dataclasses import replace

import pytest
import torch

from nnunetv2_tf.methods.tf_gan.config import PRESETS
from nnunetv2_tf.methods.tf_gan.loss_weights import FORGOTTEN, LossWeights
from nnunetv2_tf.training.distributed import Team

BY_GRADIENT = replace(PRESETS["default"], lambda_a=2.0, lambda_b=0.5, lambda_e=3.0)


def terms_of(z: torch.Tensor, tumour: torch.Tensor, louder: float = 1.0) -> dict[str, torch.Tensor]:
    """Of gradients that differ by orders of magnitude, in the tumour and beside it."""
    beside = 1 - tumour
    return {
        "patch": (z * tumour).sum() * 1e-3 * louder + (z * beside).sum() * 50,
        "whole": (z**2 * tumour).sum() * 7,
        "texture": (z * tumour).mean() * 100,
    }


def setting() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    tumour = (torch.rand(2, 1, 6, 6, 6) < 0.2).float()
    return torch.rand(2, 1, 6, 6, 6, requires_grad=True), tumour


def test_weighted_gradients_at_the_tumour_have_the_sizes_that_the_settings_say():
    z, tumour = setting()
    weights, terms = LossWeights(BY_GRADIENT, Team()), terms_of(z, tumour)
    weights.measure(terms, z, tumour)
    lambdas = weights.of(terms, heard=True)
    for name, wanted in {"patch": 2.0, "whole": 0.5, "texture": 3.0}.items():
        (slope,) = torch.autograd.grad(lambdas[name] * terms[name], z, retain_graph=True)
        assert float((slope * tumour).norm()) == pytest.approx(wanted, rel=1e-4)


def test_sizes_are_running_means():
    z, tumour = setting()
    weights = LossWeights(BY_GRADIENT, Team())
    weights.measure(terms_of(z, tumour), z, tumour)
    before = weights.sizes["patch"]
    weights.measure(terms_of(z, tumour, louder=11.0), z, tumour)
    assert weights.sizes["patch"] == pytest.approx(before * (FORGOTTEN + (1 - FORGOTTEN) * 11))


def test_a_discriminator_that_is_not_heard_has_no_weight():
    z, tumour = setting()
    weights, terms = LossWeights(BY_GRADIENT, Team()), terms_of(z, tumour)
    weights.measure(terms, z, tumour)
    lambdas = weights.of(terms, heard=False)
    assert (lambdas["patch"], lambdas["whole"]) == (0, 0)
    assert lambdas["texture"] > 0


def test_where_no_tumour_is_in_view_nothing_is_learnt_of_sizes():
    """No weight before the first; later, the size that was known."""
    z, tumour = setting()
    weights = LossWeights(BY_GRADIENT, Team())
    for terms, seen in (({"texture": torch.zeros(())}, tumour), (terms_of(z, tumour), 0 * tumour)):
        weights.measure(terms, z, seen)
        assert weights.of(["texture"], heard=True) == {"texture": 0.0}
    weights.measure(terms_of(z, tumour), z, tumour)
    known = weights.of(["texture"], heard=True)
    assert known["texture"] > 0
    weights.measure(terms_of(z, tumour), z, 0 * tumour)
    assert weights.of(["texture"], heard=True) == known


def test_in_the_paper_they_are_weights_of_losses():
    weights = LossWeights(PRESETS["paper"], Team())
    assert weights.of(["patch", "whole", "perceptual"], heard=True) == {"patch": 10, "whole": 1, "perceptual": 1}
