"""Eq. 1 against plain numpy, in every preset's manner."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve1d, distance_transform_edt

from nnunetv2_tf.methods.base import Donor, Site
from nnunetv2_tf.methods.tf_aug.coarse import anchored, coarse
from nnunetv2_tf.methods.tf_aug.config import PRESETS
from nnunetv2_tf.methods.tf_aug.donors import FILL
from nnunetv2_tf.methods.tf_aug.samples import assemble, coarse_parts
from nnunetv2_tf.working_space.blurring import blur

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
        donors=(), spacing=spacing, body=torch.from_numpy(organ), n_norm=int(organ.sum()),
    )  # fmt: skip


def donated(host: Site, seed: int = 5) -> Site:
    """With the donor of its tumour, of which a corner is not known."""
    rng = np.random.default_rng(seed)
    known = torch.ones_like(host.organ)
    known[:, :, : SHAPE[2] // 2 - 2] = False
    image = torch.from_numpy(rng.normal(size=(2, *SHAPE)).astype(np.float32))
    return replace(host, donors=(Donor(image, host.tumour, host.tumour, known),))


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
    box, parts = coarse_parts(one, PRESETS["paper"], CLASSES)
    found = one.image.clone()
    found[(slice(None), *box)] = assemble(parts, torch.from_numpy(a), torch.from_numpy(b))
    expected = one.image.numpy().astype(np.float64)
    for channel in range(2):
        blurred = gaussian(one.image[channel].numpy(), 2.0)
        for index, value in enumerate(CLASSES):
            where = one.tumour.numpy() == value
            expected[channel][where] = a[index, channel] * blurred[where] + b[index, channel]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)
    outside = ~(one.tumour > 0)
    assert torch.equal(found[:, outside], one.image[:, outside])


@pytest.mark.parametrize("changes", [{}, {"grain": 0.5, "texture_mm": 2.0, "sigma": 2.0, "edge_mm": 1.0}])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 1.0, 1.0)])
def test_the_default_is_soft_and_stays_in_the_organ(spacing, changes):
    one, config = donated(site(spacing=spacing)), replace(PRESETS["default"], **changes)
    a, b = np.full((3, 2), 0.8), np.array([[1.0, 2.0], [0.5, 0.2], [-0.5, 1.0]])
    box, parts = coarse_parts(one, config, CLASSES)
    found = one.image.clone()
    found[(slice(None), *box)] = assemble(parts, torch.from_numpy(a), torch.from_numpy(b))
    organ, image = one.organ.numpy(), one.image.numpy().astype(np.float64)

    def smooth(volume: np.ndarray, mm: float, voxels: float = 0.0) -> np.ndarray:
        volume = volume.astype(np.float64)
        for axis, step in enumerate(spacing):
            sigma = max(float(np.sqrt((mm / step) ** 2 + voxels**2)), 1e-9)
            reach = np.arange(-int(4 * sigma + 0.5), int(4 * sigma + 0.5) + 1)
            kernel = np.exp(-(reach**2) / (2 * sigma**2))
            volume = convolve1d(volume, kernel / kernel.sum(), axis=axis, mode="reflect")
        return volume

    weight = smooth(organ, config.sigma)
    edge = config.edge_mm, config.edge_voxels
    tumour = one.tumour.numpy()
    depth = np.asarray(distance_transform_edt(tumour > 0, sampling=spacing)).max()
    steepest = max(float(np.sqrt(edge[0] ** 2 + (edge[1] * step) ** 2)) for step in spacing)
    edge = tuple(width * min(1.0, depth / 3 / steepest) for width in edge)  # less in small tumours
    inside = np.maximum(smooth(organ, *edge), 1e-6)
    shares = [smooth(tumour == value, *edge) * organ / inside for value in CLASSES]
    (donor,) = one.donors
    known = np.where(donor.organ.numpy(), donor.tumour.numpy(), 0)
    for channel in range(2):
        blurred = np.where(
            organ, smooth(image[channel] * organ, config.sigma) / np.maximum(weight, 1e-6), image[channel]
        )
        expected = image[channel] * (1 - sum(shares))
        theirs = donor.image[channel].numpy().astype(np.float64)
        for value in CLASSES:
            theirs[known == value] -= theirs[known == value].mean()
        theirs = np.where(known > 0, theirs, 0)
        differs = smooth(theirs, config.texture_mm) / np.maximum(smooth(known > 0, config.texture_mm), 1e-6)
        differs = np.where(known > 0, differs, 0)
        near = smooth(differs, FILL) / np.maximum(smooth(known > 0, FILL), 1e-3)
        differs = np.where((tumour > 0) & (known == 0), near, differs)
        detail = config.grain * (image[channel] - blurred) + config.texture * differs
        for index, share in enumerate(shares):
            expected = expected + share * (a[index, channel] * blurred + b[index, channel] + detail)
        np.testing.assert_allclose(found[channel].numpy(), expected, atol=2e-3)
    assert torch.equal(found[:, ~one.organ], one.image[:, ~one.organ])


def test_a_brains_edge_is_not_darkened():
    organ = np.zeros(SHAPE, bool)
    organ[:, :12] = True
    image = np.where(organ, 3.0, 0.0)[None].astype(np.float32)
    np.testing.assert_allclose(blur(image, organ, (2, 2, 2))[0][organ], 3.0, rtol=1e-5)
    assert blur(image, None, (2, 2, 2))[0][:, 11].max() < 2


def test_gradients_of_a_and_b():
    torch.manual_seed(0)
    x_h, blurred = torch.randn(2, 1, 3, 3, 3, dtype=torch.float64), torch.randn(2, 1, 3, 3, 3, dtype=torch.float64)
    shares = torch.rand(2, 2, 3, 3, 3, dtype=torch.float64) / 2
    a, b = torch.randn(2, 1, dtype=torch.float64, requires_grad=True), torch.randn(2, 1, dtype=torch.float64)
    detail = torch.randn_like(x_h)
    assert torch.autograd.gradcheck(lambda a, b: coarse(x_h, blurred, shares, a, b, detail), (a, b.requires_grad_()))


def test_an_anchored_class_is_as_bright_as_asked_for_and_others_keep_b():
    torch.manual_seed(0)
    a, b = torch.rand(2, 1, dtype=torch.float64) + 0.5, torch.randn(2, 1, dtype=torch.float64)
    pairs = torch.tensor([[[[0.3, -1.2]], [[torch.nan, torch.nan]]], [[[2.0, 0.5]], [[-1.0, 4.0]]]]).double()
    anchors = torch.cat([pairs, torch.full((2, 2, 1, 5), torch.nan).double()], dim=-1)  # nothing through soft edges
    found = anchored(a, b, anchors)
    assert float(a[0, 0] * 0.3 + found[0, 0, 0]) == pytest.approx(-1.2)
    assert float(a[1, 0] * -1.0 + found[1, 1, 0]) == pytest.approx(4.0)
    assert found[0, 1, 0] == b[1, 0]
    assert torch.autograd.gradcheck(lambda a, b: anchored(a, b, anchors), (a.requires_grad_(), b.requires_grad_()))
    x_h, shares = torch.randn(2, 1, 3, 3, 3).double(), torch.rand(2, 2, 3, 3, 3).double() / 2
    together = coarse(x_h, x_h, shares, a, found)
    for index in range(2):
        assert torch.allclose(together[index], coarse(x_h[index], x_h[index], shares[index], a, found[index]))
