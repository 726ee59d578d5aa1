import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from nnunetv2_tf.geometry.resampling import resample, resample_label, stretched

RNG = np.random.default_rng(0)
VOLUME = RNG.normal(size=(12, 15, 14)).astype(np.float32)
SHAPE = (9, 11, 17)


def affine(matrix, offset) -> np.ndarray:
    return np.vstack([np.column_stack([matrix, offset]), [0, 0, 0, 1]])


TURN = np.array([[1.0, 0.1, 0.0], [-0.1, 1.0, 0.0], [0.0, 0.05, 0.9]])
SCALE = np.diag([1.3, 0.8, 1.1])


@pytest.mark.parametrize("shift", [(0, 0, 0), (2, -3, 1), (-20, 0, 0), (3, 4, -5)])
@pytest.mark.parametrize("kind", [np.int16, np.float32, bool])
def test_whole_shifts_copy(shift, kind):
    volume = (VOLUME * 100).astype(kind)
    moved = resample(volume, affine(np.eye(3), shift), SHAPE, 3, 0)
    assert moved.dtype == kind
    for index in np.ndindex(SHAPE):
        place = tuple(np.add(index, shift))
        within = all(0 <= p < size for p, size in zip(place, volume.shape, strict=True))
        assert moved[index] == (volume[place] if within else 0)


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("matrix", [TURN, SCALE])
def test_equals_interpolation_of_the_whole_volume(matrix, order):
    matrix4 = affine(matrix, [1.2, 0.4, -0.63])
    places = np.einsum("ij,jzyx->izyx", matrix, np.indices(SHAPE)) + matrix4[:3, 3][:, None, None, None]
    inside = np.all([(p > -0.5) & (p < size - 0.5) for p, size in zip(places, VOLUME.shape, strict=True)], axis=0)
    expected = np.where(inside, map_coordinates(VOLUME, places, order=order, mode="nearest"), -7)
    np.testing.assert_allclose(resample(VOLUME, matrix4, SHAPE, order, -7), expected, atol=2e-5)


def test_a_box_is_resampled_as_it_is_in_the_whole():
    """The spline looks at its surroundings only."""
    large = RNG.normal(size=(80, 70, 75)).astype(np.float32)
    everything = resample(large, affine(SCALE * 0.7, [0.3, 0.1, 0.2]), (80, 70, 75), 3, 0)
    start = np.array([30, 25, 20])
    part = resample(large, affine(SCALE * 0.7, SCALE * 0.7 @ start + [0.3, 0.1, 0.2]), (8, 9, 7), 3, 0)
    np.testing.assert_allclose(part, everything[30:38, 25:34, 20:27], atol=1e-5)


def test_labels_take_the_strongest_class():
    label = np.zeros((4, 4, 4), np.int16)
    label[:2], label[2:, :2] = 3, 1
    finer = resample_label(label, affine(np.eye(3) / 2, [-0.25] * 3), (8, 8, 8))
    np.testing.assert_array_equal(finer, label.repeat(2, 0).repeat(2, 1).repeat(2, 2))
    assert finer.dtype == np.int16
    assert not resample_label(label, affine(np.eye(3), [9.5, 0, 0]), (4, 4, 4)).any()


def test_far_away_there_is_nothing():
    assert (resample(VOLUME, affine(SCALE, [100, 0, 0]), SHAPE, 3, 5.0) == 5).all()


def test_classes_that_meet_do_not_shrink_where_they_do():
    """What is labelled at all comes out as if it were one class, and nested ones as large as they were."""
    places = np.indices((16, 16, 16)) - 7.5
    distance = np.sqrt((places**2).sum(axis=0))
    label = np.select([distance < 2.5, distance < 4, distance < 5.5], [1, 3, 2]).astype(np.int16)
    affine = np.diag([0.4, 0.4, 0.4, 1.0])
    affine[:3, 3] = 0.4 / 2 - 0.5
    fine = resample_label(label, affine, (40, 40, 40))
    whole = resample((label > 0).astype(np.float32), affine, (40, 40, 40), 1, 0.0)
    np.testing.assert_array_equal(fine > 0, whole > 0.5)
    for value in (1, 2, 3):
        assert (fine == value).sum() * 0.4**3 / (label == value).sum() == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("scale", [(1.3, 0.8, 1.1), (0.25, 0.3, 0.2), (1.0, 1.0, 1.0)])
@pytest.mark.parametrize("offset", [(0.0, 0.0, 0.0), (0.4, -0.7, 2.2), (-3.0, 5.0, 1.5)])
def test_stretched_is_resampled_linearly(scale, offset):
    way = affine(np.diag(scale), offset)
    np.testing.assert_allclose(stretched(VOLUME, way, SHAPE), resample(VOLUME, way, SHAPE, 1, 0.0), atol=1e-5)
    flat = VOLUME[:1]
    np.testing.assert_allclose(stretched(flat, way, SHAPE), resample(flat, way, SHAPE, 1, 0.0), atol=1e-5)
