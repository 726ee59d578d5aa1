"""What TF-Aug makes of a site: Eq. 1 in the map, the host elsewhere, and numbers that differ from case to case."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from nnunetv2_tf.methods.tf_aug.config import PRESETS, TFAugConfig
from nnunetv2_tf.methods.tf_aug.fitting import IntensityMap
from nnunetv2_tf.methods.tf_aug.method import TFAug
from nnunetv2_tf.working_space.blurring import blur
from tests.methods.tf_aug.test_coarse import CLASSES, donated, site

A, B = ((0.8, 0.9), (0.7, 1.1), (1.2, 0.6)), ((0.1, 0.2), (-0.3, 0.0), (0.5, -0.4))


def method(config: TFAugConfig) -> TFAug:
    made = TFAug(config, torch.device("cpu"), {})
    made.fitted_to = IntensityMap(CLASSES, ("NCR", "ED", "ET"), ("t1n", "t2w"), A, B, (), (), ())
    return made


def test_the_papers_edit_is_the_equation_in_a_hard_map():
    host = site()
    (edited,) = method(PRESETS["paper"]).edit([host], [np.random.default_rng(0)])
    blurred = blur(host.image.numpy(), None, [PRESETS["paper"].sigma] * 3)
    expected = host.image.numpy().copy()
    for k, value in enumerate(CLASSES):
        inside = host.tumour.numpy() == value
        for channel in range(2):
            expected[channel][inside] = A[k][channel] * blurred[channel][inside] + B[k][channel]
    np.testing.assert_allclose(edited.image.numpy(), expected, atol=1e-5)
    assert edited.reach_mm == 0.0
    assert edited.controls == {"a": [list(row) for row in A], "b": [list(row) for row in B]}
    assert torch.equal(edited.label, host.tumour)


def test_numbers_scatter_around_those_that_were_fitted():
    made, host = method(replace(PRESETS["default"], anchored=False)), donated(site())
    several = [made.edit([host], [np.random.default_rng(seed)])[0] for seed in range(200)]
    slopes = np.array([edited.controls["a"] for edited in several])
    offsets = np.array([edited.controls["b"] for edited in several])
    np.testing.assert_allclose(slopes.mean(axis=0), A, rtol=0.02)
    np.testing.assert_allclose((slopes / np.array(A)).std(axis=0), np.full((3, 2), 0.05), rtol=0.25)
    np.testing.assert_allclose(offsets.std(axis=0), np.full((3, 2), 0.02), rtol=0.25)
    assert {edited.reach_mm for edited in several} == {TFAug.reach_mm}


def test_each_class_is_as_bright_as_in_its_donor():
    """In a hard map without jitter; a class that the donor lacks has the fitted b."""
    config = replace(PRESETS["default"], edge_mm=0.0, edge_voxels=0.0, jitter_a=0.0, jitter_b=0.0)
    host = donated(site())
    (donor,) = host.donors
    without = torch.where(donor.tumour == 1, 0, donor.tumour)
    host = replace(host, donors=(replace(donor, tumour=without, image=donor.image + 2),))
    (edited,) = method(config).edit([host], [np.random.default_rng(0)])
    placed, there = host.tumour, donor.organ
    for value in (2, 3):
        wanted = (donor.image + 2)[:, (without == value) & there].mean(dim=1)
        torch.testing.assert_close(edited.image[:, placed == value].mean(dim=1), wanted, atol=1e-4, rtol=1e-4)
    assert edited.controls["b"][0] == list(B[0])
    assert edited.controls["a"] == [list(row) for row in A]


@pytest.mark.parametrize(
    ("texture", "anchored", "pastes"), [(1.0, False, True), (0.0, True, True), (0.0, False, False)]
)
def test_donors_are_wanted_for_their_texture_and_brightness_only(texture, anchored, pastes):
    assert method(replace(PRESETS["default"], texture=texture, anchored=anchored)).pastes is pastes
