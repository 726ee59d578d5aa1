"""How tumours come to lie in a host: which class wins, what fluid and the organ's edge take away."""

import numpy as np
import pytest

from nnunetv2_tf.tumours.fluid import find_fluid
from nnunetv2_tf.tumours.place import place_tumours, read_host
from nnunetv2_tf.tumours.recipe import DonorTumour
from tests.scenes import Built
from tests.tumours.hosts import GRID, SHAPE, ball, bank, host

BANK = bank()


def test_overlap_goes_by_priority():
    """Two lesions on the same place: ET over NCR over ED, as dataset.json says."""
    tumours = (
        DonorTumour("case_0"),
        DonorTumour("case_2", shift=tuple((BANK.lesions[0].centre - BANK.lesions[2].centre)[::-1])),
    )
    alone = [place_tumours((tumour,), BANK, host()) for tumour in tumours]
    together = place_tumours(tumours, BANK, host())
    assert together is not None
    first, second = (placed.label(SHAPE) for placed in alone if placed is not None)
    rank = np.array([0, 2, 1, 3])
    np.testing.assert_array_equal(together.label(SHAPE), np.where(rank[first] >= rank[second], first, second))


def test_diffuse_classes_leave_fluid_and_cores_displace_it():
    lesion = BANK.lesions[0]
    centre = np.linalg.solve(GRID, [*lesion.centre, 1])[:3]
    fluid_map = ball(tuple(centre), 3.5) | ball((centre[0], centre[1] + 5, centre[2]), 2)
    plain, placed = (place_tumours((DonorTumour("case_0"),), BANK, host(fluid=fluid)) for fluid in (None, fluid_map))
    assert plain is not None
    assert placed is not None
    expected = np.where(fluid_map & (plain.label(SHAPE) == 2), 0, plain.label(SHAPE))
    np.testing.assert_array_equal(placed.label(SHAPE), expected)
    assert placed.in_fluid == pytest.approx(
        (fluid_map & (plain.label(SHAPE) == 2)).sum() / (plain.label(SHAPE) > 0).sum()
    )
    assert placed.kept == plain.kept == (1.0,)


def test_every_tumour_of_a_pair_has_to_fit():
    """One of them outside the brain is no pair, however small it is."""
    outside = DonorTumour("case_5", shift=(0.0, 0.0, 200.0))
    placed = place_tumours((DonorTumour("case_0"), outside), BANK, host())
    assert placed is not None
    assert placed.kept == (1.0, 0.0)
    assert placed.lost == (1, 2, 3)


def test_a_case_is_read_as_host_with_or_without_its_fluid(scene: Built):
    case = scene.cases[0]
    dry, wet = (read_host(case, around_fluid) for around_fluid in (False, True))
    assert dry.name == case.identifier
    np.testing.assert_array_equal(dry.organ, case.organ())
    np.testing.assert_array_equal(dry.grid, case.grid.affine)
    np.testing.assert_array_equal(dry.organ_voxels, np.argwhere(case.organ()))
    assert dry.fluid is None
    assert wet.fluid is not None
    assert wet.fluid.shape == dry.organ.shape
    np.testing.assert_array_equal(wet.fluid, find_fluid(case.image(), case.organ(), ["t1n"], case.grid.spacing))
