"""Patches that all networks can halve, the judges of a baseline, warnings, previews."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from torch import nn

from nnunetv2_tf.baseline.class_probabilities import ClassProbabilities
from nnunetv2_tf.baseline.segmentor import Segmentor
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.methods.freetumor.config import PRESETS
from nnunetv2_tf.methods.freetumor.fitting import LATE, LONG, MonitoredAdversaries, check, judges, levels_for
from nnunetv2_tf.methods.freetumor.networks import Discriminator, single_output
from nnunetv2_tf.methods.freetumor.patches import HOST_VOLUMES
from nnunetv2_tf.training.pool import Pool
from tests.methods.freetumor import examples
from tests.scenes import CPU, Built
from tests.workspace import write_test_plans

MIDDLE = (slice(4, 12),) * 3  # nnU-Net adds tiles up in half precision, by weights that nearly vanish at their corners


def monitored() -> MonitoredAdversaries:
    config = replace(PRESETS["default"], augmented=False)
    return MonitoredAdversaries(
        config, examples.design(), *examples.judges(), [True], examples.SPACING, 0, torch.device("cpu")
    )  # fmt: skip


def test_the_discriminator_begins_as_the_baseline_voxel_by_voxel(scene: Built):
    baseline, classes = scene.trained_baseline(), scene.cases[0].roles.tumour
    segmentor, discriminator = judges(baseline, classes)
    image = torch.randn(1, 1, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        real, fake, _ = discriminator(image)
        logits = segmentor(image)
        assert torch.equal(discriminator.segmentor(image)[:, : logits.shape[1]], logits)
    segmentation = Segmentor(baseline, CPU).segmentation(image[0])
    assert torch.equal(logits[0].argmax(dim=0)[MIDDLE], segmentation[MIDDLE].long())
    probabilities = Segmentor(baseline, CPU).probabilities(image[0])[list(classes)]
    either = (real.exp() + fake.exp())[0]
    torch.testing.assert_close(either[(slice(None), *MIDDLE)], probabilities[(slice(None), *MIDDLE)], atol=5e-3, rtol=0)


@pytest.mark.parametrize("scene", ["one channel", "thick slices"], indirect=True)
def test_patches_can_be_halved_by_both_networks(scene: Built):
    write_test_plans(scene.dataset)
    levels = levels_for(PRESETS["default"], scene.plan)
    strides = np.prod(np.array(scene.plan.manager.network_arch_init_kwargs["strides"]), axis=0)
    for size, by_plans, by_generator in zip(
        levels.patch, strides, np.prod(np.array(levels.strides), axis=0), strict=True
    ):
        assert size % by_plans == 0
        assert size % by_generator == 0


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(
    ("patch", "strides"),
    [((128,) * 3, (32,) * 3), ((160, 128, 112), (32, 32, 16)), ((28, 256, 224), (4, 64, 32)), ((16,) * 3, (8,) * 3)],
)
def test_judges_have_more_than_a_voxel_at_the_bottom(preset, patch, strides):
    """As plans have them; with one voxel an instance norm raises."""
    steps = [[1, 1, 1], *([2 if 2**level <= most else 1 for most in strides] for level in range(1, 7))]
    manager = SimpleNamespace(network_arch_init_kwargs={"strides": steps}, patch_size=patch, spacing=(1.0, 1.0, 1.0))
    plan: Any = SimpleNamespace(manager=manager)
    size = np.array(levels_for(PRESETS[preset], plan).patch)
    assert (size % strides == 0).all()
    assert (size // strides >= 2).all()


def test_a_small_patch_goes_through_a_deep_network():
    network = PlainConvUNet(
        1, 6, (2,) * 6, nn.Conv3d, 3, (1, 2, 2, 2, 2, 2), 1, 4, 1, norm_op=nn.InstanceNorm3d, deep_supervision=True
    )
    discriminator = Discriminator(single_output(network), ClassProbabilities(4, examples.CLASSES, False))
    steps = [[1] * 3, *([2] * 3 for _ in range(5))]
    plan: Any = SimpleNamespace(
        manager=SimpleNamespace(network_arch_init_kwargs={"strides": steps}, patch_size=(128,) * 3, spacing=(1.0,) * 3)
    )
    real, _, _ = discriminator(torch.zeros(1, 1, *levels_for(PRESETS["brief"], plan).patch))
    assert torch.isfinite(real).all()


def test_patches_that_cannot_be_halved_are_refused(scene: Built):
    check(PRESETS["default"], scene.plan)
    with pytest.raises(UserError, match="too small for FreeTumor"):
        check(replace(PRESETS["default"], largest_patch=6), scene.plan)


def test_a_class_that_no_region_writes_is_refused_before_anything_begins(scene: Built):
    regions = {"background": 0, "whole": [1, 2, 3], "core": [1]}
    description = scene.plan.dataset_json | {"labels": regions, "regions_class_order": [2, 1]}
    description["tf"] = {"tumour": ["whole"]}
    with pytest.raises(UserError, match="regions_class_order writes no label 3"):
        check(PRESETS["default"], replace(scene.plan, dataset_json=description))


def test_it_says_when_nothing_is_recognised_or_the_discriminator_always_wins():
    found, name = monitored(), "AUC of D's votes"
    assert not found.remarks({"p of S": [0.0] * LATE, name: [1.0] * (LONG - 1)})
    assert "hardly any" in found.remarks({"p of S": [0.0] * (LATE + 1), name: [0.5]})[0]
    assert "know its patients by heart" in found.remarks({"p of S": [0.9], name: [1.0] * LONG})[0]


def test_previews_are_painted_with_the_weights_that_are_used(tmp_path):
    found = monitored()
    batches = [examples.batch(seed=seed, number=1) for seed in range(2)]
    found.shown = [{name: one[name] for name in (*HOST_VOLUMES, "n_norm")} for one in batches]
    found.sites = Pool(lambda _: {}, None)
    found.begin(0)
    found.preview(tmp_path / "one.png")
    for value in found.averaged.weights.values():
        value.add_(0.1)
    found.preview(tmp_path / "two.png")
    assert (tmp_path / "one.png").stat().st_size > 1000
    assert (tmp_path / "one.png").read_bytes() != (tmp_path / "two.png").read_bytes()
