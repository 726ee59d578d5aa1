"""Links between voxels: what flows between them, and where nothing does."""

import numpy as np

from nnunetv2_tf.geometry.conduction import face_conductivity, links


def test_links_are_the_laplacian_without_flux_through_the_surface():
    """Against differences by hand, on a box with a hole in it."""
    rng = np.random.default_rng(0)
    conductivity, spacing = rng.uniform(0.2, 2, (4, 5, 6)), (2.0, 1.0, 0.5)
    conductivity[1:3, 2, 2:4] = 0
    values = rng.normal(size=conductivity.shape)
    expected = np.zeros(conductivity.shape)
    for place in np.ndindex(conductivity.shape):
        for axis in range(3):
            for side in (-1, 1):
                other = tuple(index + side * (axis == number) for number, index in enumerate(place))
                if not 0 <= other[axis] < conductivity.shape[axis] or not conductivity[place] * conductivity[other]:
                    continue
                passed = 2 / (1 / conductivity[place] + 1 / conductivity[other])
                expected[place] += passed * (values[place] - values[other]) / spacing[axis] ** 2
    open_ = conductivity > 0
    neighbours = links(conductivity, spacing)
    found = np.asarray(neighbours.sum(axis=1)).ravel() * values[open_] - neighbours @ values[open_]
    np.testing.assert_allclose(found, expected[open_], atol=1e-12)


def test_nothing_passes_what_is_closed():
    np.testing.assert_allclose(
        face_conductivity(np.array([1.0, 3.0, 0.0, 0.0]).reshape(4, 1, 1), 0).ravel(), [1.5, 0, 0]
    )
