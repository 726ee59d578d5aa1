"""Handcrafted shapes against plain geometry."""

from dataclasses import replace

import numpy as np
import pytest

from nnunetv2_tf.geometry.rotation import rotation
from nnunetv2_tf.tumours.shapes import NUMBER, ShapeBank, ShapeConfig, ellipsoid, shape_bank, shells
from nnunetv2_tf.tumours.warp import radius_of
from tests.tumours.hosts import bank

PUBLISHED, LIKE_COHORT = ShapeConfig(like_cohort=False), ShapeConfig()
COHORT = bank()


def empty():
    return replace(COHORT, lesions=())


def test_an_ellipsoid_is_one_point_by_point():
    half_axes, turn, centre = np.array([5.0, 9.0, 7.0]), rotation((20, -40, 70)), np.array([10.0, -3.0, 50.0])
    lesion = ellipsoid("one", half_axes, turn, centre, [(3, 0.5), (1, 1.0)])
    for place in np.random.default_rng(0).permutation(np.argwhere(np.ones(lesion.label.shape)))[:3000]:
        point = lesion.affine[:3, :3] @ place + lesion.affine[:3, 3] - centre
        depth = sum((turn[:, axis] @ point / half_axes[axis]) ** 2 for axis in range(3)) ** 0.5
        assert lesion.label[tuple(place)] == (3 if depth <= 0.5 else 1 if depth <= 1 else 0)
    edges = lesion.label.copy()
    edges[1:-1, 1:-1, 1:-1] = 0
    assert not edges.any()  # a free voxel all around
    assert lesion.volume == pytest.approx(4 / 3 * np.pi * half_axes.prod() / 1000, rel=0.02)
    assert lesion.classes[3] / lesion.volume == pytest.approx(0.5**3, rel=0.1)
    np.testing.assert_allclose(lesion.centre, centre, atol=0.05)


def test_shells_from_the_inside_out():
    """Of 1 NCR, 2 ED, 3 ET: enhancing tissue lies around the necrosis, edema around both."""
    cohort = replace(COHORT, class_priority=(3, 1, 2), diffuse=(2,))
    found = shells({1: 0.1, 2: 0.6, 3: 0.3}, cohort)
    assert [value for value, _ in found] == [1, 3, 2]
    np.testing.assert_allclose([end**3 for _, end in found], [0.1, 0.4, 1.0])
    assert shells({2: 0.2}, cohort) == [(2, 1.0)]


def test_shapes_of_the_paper_have_its_sizes():
    found = shape_bank(PUBLISHED, empty())
    assert len(found.lesions) == NUMBER
    assert set(found.like.values()) == {None}
    radii = np.array([radius_of(lesion.volume) for lesion in found.lesions])
    nearest = np.array(PUBLISHED.radii_mm)[np.abs(np.log(radii[:, None] / PUBLISHED.radii_mm)).argmin(axis=1)]
    assert (np.abs(radii / nearest - 1) < PUBLISHED.uneven + 0.03).all()
    assert set(nearest) == set(PUBLISHED.radii_mm)
    for lesion in found.lesions:
        assert set(lesion.classes) == set(COHORT.class_priority)


def test_shapes_of_the_default_are_as_large_as_the_cohorts_and_where_these_are():
    found = shape_bank(LIKE_COHORT, COHORT)
    for lesion in found.lesions:
        model = COHORT.by_donor[str(found.like[lesion.donor])]
        assert lesion.volume == pytest.approx(model.volume, rel=0.05)
        np.testing.assert_allclose(lesion.centre, model.centre, atol=0.2)
        assert set(lesion.classes) == set(model.classes)
        for value, ml in model.classes.items():
            assert lesion.classes[value] / lesion.volume == pytest.approx(ml / model.volume, abs=0.05)
    assert set(found.like.values()) == set(COHORT.by_donor)
    assert shape_bank(LIKE_COHORT, COHORT).digest == found.digest
    assert shape_bank(replace(LIKE_COHORT, uneven=0.1), COHORT).digest != found.digest


def test_a_bank_of_few_shapes_remains_one():
    found = shape_bank(LIKE_COHORT, COHORT)
    few = found.restricted_to(["shape_003"])
    assert [lesion.donor for lesion in few.lesions] == ["shape_003"]
    assert isinstance(few, ShapeBank)
    assert few.like == found.like
