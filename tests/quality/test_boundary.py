"""The gradient at a tumour's surface, where one knows what it is."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from nnunetv2_tf.quality.boundary import boundary_gradient, seam_ratio

SHAPE = (20, 24, 30)
EVERYWHERE = np.ones(SHAPE, bool)


def box() -> np.ndarray:
    tumour = np.zeros(SHAPE, np.int16)
    tumour[6:14, 7:17, 8:22] = 2
    return tumour


def test_a_slope_has_its_own_gradient_in_mm():
    z, y, x = np.indices(SHAPE)
    image = 0.3 * z + 0.4 * y + 1.2 * x
    assert boundary_gradient(image, box(), EVERYWHERE, (1, 1, 1)) == pytest.approx(1.3)
    assert boundary_gradient(image, box(), EVERYWHERE, (0.5, 2, 3)) == pytest.approx(np.sqrt(0.6**2 + 0.2**2 + 0.4**2))


def test_only_the_surface_counts():
    inside = np.zeros(SHAPE)
    inside[8:12, 10:14, 12:18] = 7.0  # deeper than a voxel and its neighbour
    assert boundary_gradient(inside, box(), EVERYWHERE, (1, 1, 1)) == 0
    outside = np.where(box() > 0, 0.0, np.random.default_rng(0).normal(size=SHAPE))
    far = outside.copy()
    far[4:16, 5:19, 6:24] = 0
    assert boundary_gradient(far, box(), EVERYWHERE, (1, 1, 1)) == 0
    assert boundary_gradient(outside, box(), EVERYWHERE, (1, 1, 1)) > 0.1


def test_softer_edges_have_less():
    hard = (box() > 0).astype(float)
    found = [boundary_gradient(gaussian_filter(hard, width), box(), EVERYWHERE, (1, 1, 1)) for width in (0, 1, 2, 4)]
    assert found == sorted(found, reverse=True)
    flat = np.zeros(SHAPE, np.int16)
    flat[:, :, :15] = 1  # a plane: central differences of a step are half of it, in the two voxels next to it
    assert boundary_gradient(flat.astype(float), flat, EVERYWHERE, (1, 1, 1)) == pytest.approx(0.5)


def test_the_organs_own_edge_does_not_count():
    organ = EVERYWHERE.copy()
    organ[:, :, 16:] = False
    image = np.where(organ, 1.0, 0.0)
    assert boundary_gradient(image, box() * organ, organ, (1, 1, 1)) == 0
    assert np.isnan(boundary_gradient(image, np.zeros(SHAPE, int), organ, (1, 1, 1)))


def test_seams_by_plain_loops():
    rng = np.random.default_rng(0)
    image, where = rng.normal(size=(4, 5, 6)), rng.random((4, 5, 6)) < 0.8
    planes = ({2}, set(), {1, 4})
    across, elsewhere = [], []
    for z, y, x in np.ndindex(4, 5, 6):
        for axis, (a, b, c) in enumerate(((z + 1, y, x), (z, y + 1, x), (z, y, x + 1))):
            if a < 4 and b < 5 and c < 6 and where[z, y, x] and where[a, b, c]:
                step = abs(image[a, b, c] - image[z, y, x])
                (across if (a, b, c)[axis] in planes[axis] else elsewhere).append(step)
    assert seam_ratio(image, planes, where) == pytest.approx(np.mean(across) / np.mean(elsewhere))
    image[2:] += 10
    assert seam_ratio(image, planes, where) > 2
