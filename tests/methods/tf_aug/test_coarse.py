"""Eq. 1 against plain numpy, in every preset's manner."""

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve1d, distance_transform_edt

from nnunetv2_tf.methods.base import Site
from nnunetv2_tf.methods.tf_aug.coarse import blur, coarse, shares_of
from nnunetv2_tf.methods.tf_aug.config import PRESETS
from nnunetv2_tf.methods.tf_aug.samples import parts_of, put_together

SHAPE = (20, 24, 22)
CLASSES = (1, 2, 3)


def site(seed: int = 0, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Site:
    rng = np.random.default_rng(seed)
    places = np.indices(SHAPE) - np.reshape(SHAPE, (3, 1, 1, 1)) / 2
    organ = (places**2).sum(axis=0) < 9.5**2
    image = np.where(organ, rng.normal(size=(2, *SHAPE)), 0).astype(np.float32)
    tumour = np.zeros(SHAPE, np.int16)
    for value, radius in ((2, 5.5), (3, 4), (1, 2)):
        tumour[((places - [[[[3]]], [[[2]]], [[[-3]]]]) ** 2).sum(axis=0) < radius**2] = value
    tumour *= organ
    return Site(
        *(torch.from_numpy(array) for array in (image, np.zeros(SHAPE, np.int16), organ, tumour)),
        donors=(), spacing=spacing, n_norm=int(organ.sum()),
    )  # fmt: skip


def gaussian(volume: np.ndarray, sigma: float) -> np.ndarray:
    """By hand: a normalised kernel of four standard deviations, edges mirrored."""
    reach = np.arange(-int(4 * sigma + 0.5), int(4 * sigma + 0.5) + 1)
    kernel = np.exp(-(reach**2) / (2 * sigma**2))
    for axis in range(3):
        volume = convolve1d(volume.astype(np.float64), kernel / kernel.sum(), axis=axis, mode="reflect")
    return volume


def test_the_papers_equation():
    """x_s' = x_h (1 - m) + (a B(x_h) + b) m with a hard map, and B of the whole image."""
    one = site()
    rng = np.random.default_rng(1)
    a, b = rng.normal(1, 0.3, (3, 2)), rng.normal(0, 0.3, (3, 2))
    box, parts = parts_of(one, PRESETS["paper"], CLASSES)
    found = one.image.clone()
    found[(slice(None), *box)] = put_together(parts, torch.from_numpy(a), torch.from_numpy(b), 0.0)
    expected = one.image.numpy().astype(np.float64)
    for channel in range(2):
        blurred = gaussian(one.image[channel].numpy(), 2.0)
        for index, value in enumerate(CLASSES):
            where = one.tumour.numpy() == value
            expected[channel][where] = a[index, channel] * blurred[where] + b[index, channel]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)
    outside = ~(one.tumour > 0)
    assert torch.equal(found[:, outside], one.image[:, outside])


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 1.0, 1.0)])
def test_the_default_is_soft_and_stays_in_the_organ(spacing):
    one, config = site(spacing=spacing), PRESETS["default"]
    a, b = np.full((3, 2), 0.8), np.array([[1.0, 2.0], [0.5, 0.2], [-0.5, 1.0]])
    box, parts = parts_of(one, config, CLASSES)
    found = one.image.clone()
    found[(slice(None), *box)] = put_together(parts, torch.from_numpy(a), torch.from_numpy(b), config.grain)
    organ, image = one.organ.numpy(), one.image.numpy().astype(np.float64)

    def smooth(volume: np.ndarray, mm: float) -> np.ndarray:
        volume = volume.astype(np.float64)
        for axis, step in enumerate(spacing):
            sigma = mm / step
            reach = np.arange(-int(4 * sigma + 0.5), int(4 * sigma + 0.5) + 1)
            kernel = np.exp(-(reach**2) / (2 * sigma**2))
            volume = convolve1d(volume, kernel / kernel.sum(), axis=axis, mode="reflect")
        return volume

    weight = smooth(organ, config.sigma)
    inside = np.maximum(smooth(organ, config.edge_mm), 1e-6)
    shares = [smooth(one.tumour.numpy() == value, config.edge_mm) * organ / inside for value in CLASSES]
    for channel in range(2):
        blurred = np.where(
            organ, smooth(image[channel] * organ, config.sigma) / np.maximum(weight, 1e-6), image[channel]
        )
        expected = image[channel] * (1 - sum(shares))
        for index, share in enumerate(shares):
            inside = a[index, channel] * blurred + b[index, channel] + config.grain * (image[channel] - blurred)
            expected = expected + share * inside
        np.testing.assert_allclose(found[channel].numpy(), expected, atol=2e-3)
    assert torch.equal(found[:, ~one.organ], one.image[:, ~one.organ])


def test_a_brains_edge_is_not_darkened():
    organ = np.zeros(SHAPE, bool)
    organ[:, :12] = True
    image = np.where(organ, 3.0, 0.0)[None].astype(np.float32)
    np.testing.assert_allclose(blur(image, organ, (2, 2, 2))[0][organ], 3.0, rtol=1e-5)
    assert blur(image, None, (2, 2, 2))[0][:, 11].max() < 2


def test_shares_add_up_to_one_inside_and_to_nothing_far_away():
    one = site()
    tumour, everywhere = np.zeros(SHAPE, np.int16), np.ones(SHAPE, bool)
    tumour[4:16, 6:18], tumour[8:12, 9:15, 8:14] = 2, 3
    total = shares_of(tumour, CLASSES, everywhere, (1.0, 1.0, 1.0)).sum(axis=0)
    depth, away = (np.asarray(distance_transform_edt(mask)) for mask in (tumour > 0, tumour == 0))
    np.testing.assert_allclose(total[depth > 5], 1, atol=1e-5)
    np.testing.assert_allclose(total[away > 7], 0, atol=1e-6)
    half = np.zeros(SHAPE, bool)
    half[:, :, :11] = True  # an organ that ends in the tumour, which is all there at its surface
    at_surface = shares_of(np.where(half, tumour, 0), CLASSES, half, (1.0, 1.0, 1.0)).sum(axis=0)
    np.testing.assert_allclose(at_surface[8:12, 10:14, 10], 1, atol=0.01)
    hard = shares_of(one.tumour.numpy(), CLASSES, one.organ.numpy(), (0.0, 0.0, 0.0))
    np.testing.assert_array_equal(hard.sum(axis=0) > 0, one.tumour.numpy() > 0)


def test_gradients_of_a_and_b():
    torch.manual_seed(0)
    x_h, blurred = torch.randn(2, 1, 3, 3, 3, dtype=torch.float64), torch.randn(2, 1, 3, 3, 3, dtype=torch.float64)
    shares = torch.rand(2, 2, 3, 3, 3, dtype=torch.float64) / 2
    a, b = torch.randn(2, 1, dtype=torch.float64, requires_grad=True), torch.randn(2, 1, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda a, b: coarse(x_h, blurred, shares, a, b, 0.3), (a, b.requires_grad_()))
