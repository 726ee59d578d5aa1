"""What the encoder is shown, and what is taken for a real tumour's."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from nnunetv2_tf.methods.base import Donor
from nnunetv2_tf.methods.tf_aug.config import PRESETS
from nnunetv2_tf.methods.tf_aug.samples import (
    FeatureExtractor,
    assemble,
    coarse_parts,
    moments_of_coarse,
    moments_of_real,
    sample_of,
)
from tests.methods.tf_aug.test_coarse import CLASSES, SHAPE, site
from tests.scenes import Built


class Seen(nn.Module):
    """An encoder that keeps what it was shown."""

    image: torch.Tensor

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        self.image = image
        return [image]


def eye(encoder: nn.Module, size: tuple[int, ...] = SHAPE, channels: int = 2) -> FeatureExtractor:
    return FeatureExtractor(encoder, CLASSES, size, (True,) * channels, torch.device("cpu"))  # type: ignore[arg-type]


@pytest.mark.parametrize("preset", PRESETS)
def test_the_encoder_sees_the_case_as_nnunet_will_normalise_it(preset):
    """The whole site, put together by Eq. 1 and z-scored anew over its body."""
    host, config = site(), PRESETS[preset]
    body = host.organ.numpy()
    image = host.image.numpy().astype(np.float64)
    image = np.stack([np.where(body, (one - one[body].mean()) / one[body].std(), 0) for one in image])
    host = replace(host, image=torch.from_numpy(image.astype(np.float32)))
    a, b = torch.full((3, 2), 0.7), torch.tensor([[1.0, 2.0], [0.5, 0.2], [-0.5, 1.0]])
    seen = Seen()
    sample = sample_of(host, config, CLASSES, SHAPE)
    features = eye(seen).of_coarse([sample], a, b)
    box, parts = coarse_parts(host, config, CLASSES)
    edited = host.image.clone()
    edited[(slice(None), *box)] = assemble(parts, a, b)
    expected = [(one - one[body].mean()) / one[body].std() for one in edited.numpy().astype(np.float64)]
    for channel in range(2):
        np.testing.assert_allclose(seen.image[0, channel].numpy()[body], expected[channel][body], atol=2e-4)
    label = host.tumour.numpy()
    means = [[expected[channel][label == value].mean() for channel in range(2)] for value in CLASSES]
    np.testing.assert_allclose(features.means[0][0].numpy(), means, atol=1e-3)


def test_real_cases_are_cut_around_their_tumour(scene: Built):
    case, seen = scene.cases[0], Seen()
    features = eye(seen, (16, 16, 16), 1).of_real(case)
    label, image = case.tumour(), case.image()[0]
    assert features.present.tolist() == [[bool((label == value).any()) for value in CLASSES]]
    labelled: Any = ndimage.label(label > 0, np.ones((3, 3, 3)))
    pieces = labelled[0]
    places = np.argwhere(pieces == np.bincount(pieces[pieces > 0]).argmax())  # the largest
    centre = (places.min(axis=0) + places.max(axis=0) + 1) // 2
    start = np.clip(centre - 8, 0, np.array(label.shape) - 16)
    box = tuple(slice(a, a + 16) for a in start)
    np.testing.assert_array_equal(seen.image[0, 0].numpy(), image[box])
    for index, value in enumerate(CLASSES):
        if (label[box] == value).any():
            expected = image[box][label[box] == value].mean()
            assert float(features.means[0][0, index, 0]) == pytest.approx(float(expected), abs=1e-5)


def test_moments_by_plain_loops(scene: Built):
    found = moments_of_real(scene.cases, CLASSES)
    for value in CLASSES:
        inside = [case.image()[0][case.tumour() == value] for case in scene.cases]
        inside = [values for values in inside if len(values) > 1]
        expected = [np.mean([values.mean() for values in inside]), np.mean([values.std() for values in inside])]
        np.testing.assert_allclose(found[value][:, 0], expected, rtol=1e-5)
    sample = sample_of(site(), PRESETS["default"], CLASSES, SHAPE)
    label = sample.label.numpy()
    for moments, image in zip(moments_of_coarse([sample], CLASSES), (sample.blurred, sample.detail), strict=True):
        assert set(moments) == set(CLASSES)
        for value, (mean, sd) in moments.items():
            np.testing.assert_allclose(mean, [one[label == value].mean() for one in image.numpy()], atol=1e-5)
            np.testing.assert_allclose(sd, [one[label == value].std() for one in image.numpy()], atol=1e-5)


def test_a_small_tumour_is_not_lost_in_its_soft_edge():
    """Of what is labelled, most is tumour, however small the ball and large the voxels."""
    for spacing, radius in (((1.0, 1.0, 1.0), 3), ((2.5, 2.5, 2.5), 4), ((2.5, 2.5, 2.5), 2), ((1.0, 1.0, 1.0), 8)):
        places = (np.indices(SHAPE) - np.reshape(SHAPE, (3, 1, 1, 1)) // 2) * np.reshape(spacing, (3, 1, 1, 1))
        tumour = np.where((places**2).sum(axis=0) <= radius**2, 2, 0).astype(np.int16)
        host = replace(
            site(spacing=spacing), tumour=torch.from_numpy(tumour), organ=torch.ones(SHAPE, dtype=torch.bool)
        )
        box, parts = coarse_parts(host, PRESETS["default"], CLASSES)
        assert parts.shares[1][tumour[box] > 0].mean() > 0.6


def test_where_two_donors_overlap_the_texture_is_the_placed_ones():
    """Class 3 of the first was placed over class 2 of the second; each brings its own slope."""
    host = site()
    slope = torch.arange(SHAPE[1], dtype=torch.float32)[:, None].expand(SHAPE)
    tumour = torch.zeros(SHAPE, dtype=torch.int16)
    tumour[6:14, 6:18, 6:12], tumour[6:14, 6:18, 12:17] = 3, 2
    second = torch.zeros(SHAPE, dtype=torch.int16)
    second[6:14, 6:18, 6:17] = 2
    everywhere = torch.ones(SHAPE, dtype=torch.bool)
    first = torch.where(tumour == 3, tumour, 0)
    donors = (
        Donor(torch.stack([slope, slope]), first, first, everywhere),
        Donor(-torch.stack([slope, slope]), second, second, everywhere),
    )
    config = replace(PRESETS["default"], grain=0.0)
    host = replace(host, tumour=tumour, organ=everywhere, donors=donors)
    box, parts = coarse_parts(host, config, CLASSES)
    rising = np.diff(parts.detail[0], axis=1)
    placed = tumour.numpy()[box]
    inner = (slice(None), slice(3, -3), slice(None))
    for value, sign in ((3, 1), (2, -1)):
        there = (placed[:, 1:] == value) & (placed[:, :-1] == value)
        assert np.median(sign * rising[inner][there[inner]]) > 0.5
