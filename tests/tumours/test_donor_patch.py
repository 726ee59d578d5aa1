"""A tumour keeps its place in millimetres, whatever the two crops and grids are."""

import numpy as np
import pytest

from nnunetv2_tf.tumours.bank import bank_from_cases
from nnunetv2_tf.tumours.donor_patch import patch_in_place, warped_patch
from nnunetv2_tf.tumours.recipe import DonorTumour
from nnunetv2_tf.tumours.warp import warp_tumour
from tests.scenes import SCENES, Built


@pytest.mark.parametrize("scene", SCENES, indirect=True)
def test_the_centre_stays_where_it_was(scene: Built):
    compared = 0
    for host in scene.cases[1:]:
        donor = scene.cases[0]
        placed = patch_in_place(donor, host, with_image=True)
        assert placed.image is not None
        assert placed.image.shape[1:] == placed.label.shape == placed.organ.shape == host.grid.shape
        corners = (np.linalg.inv(host.grid.affine) @ donor.grid.affine @ homogeneous(donor.tumour()))[:3].T
        if (corners < 0).any() or (corners > np.array(host.grid.shape) - 1).any():
            continue  # the host's crop cuts some of it off
        slack = 0.75 * max(donor.grid.spacing)  # half a voxel to either side, when a class is as strong as another
        np.testing.assert_allclose(centre(placed.tumour, host), centre(donor.tumour(), donor), atol=slack)
        volumes = [
            (tumour > 0).sum() * np.prod(case.grid.spacing)
            for tumour, case in ((placed.tumour, host), (donor.tumour(), donor))
        ]
        assert volumes[0] == pytest.approx(volumes[1], rel=0.25, abs=30 * float(np.prod(host.grid.spacing)))
        compared += 1
    assert compared


def homogeneous(tumour: np.ndarray) -> np.ndarray:
    places = np.argwhere(tumour > 0).T
    return np.vstack([places, np.ones(places.shape[1])])


def centre(tumour: np.ndarray, case) -> np.ndarray:
    places = np.argwhere(tumour > 0).mean(axis=0)
    return (case.grid.affine @ [*places, 1])[:3]


def test_on_the_same_grid_values_are_copied(scene: Built):
    donor, host = scene.cases[:2]
    placed = patch_in_place(donor, host, with_image=True)
    shift = np.subtract(host.grid.start, donor.grid.start)
    for index in np.argwhere(placed.tumour > 0)[::7]:
        there = tuple(index + shift)
        assert placed.tumour[tuple(index)] == donor.label()[there]
        assert placed.image is not None
        assert placed.image[0][tuple(index)] == donor.image()[0][there]


def test_an_image_is_read_only_when_wanted(scene: Built):
    assert patch_in_place(scene.cases[0], scene.cases[1], with_image=False).image is None


def test_a_transformed_donor_is_known_around_its_tumour(scene: Built):
    """Untransformed, the box is the donor itself; shifted, all of it is."""
    donor = scene.cases[0]
    bank = bank_from_cases([donor], {})
    (lesion,) = bank.lesions
    shape, voxels = donor.grid.shape, (2, -1, 3)
    for shift in ((0.0, 0.0, 0.0), tuple((donor.grid.affine[:3, :3] @ voxels)[::-1])):
        moved = warp_tumour(DonorTumour(donor.identifier, shift=shift), lesion, bank.midline, donor.grid.affine)
        placed = warped_patch(moved, donor, shape, donor.grid.spacing)
        steps = voxels if any(shift) else (0, 0, 0)
        assert placed.image is not None
        for index in np.argwhere(placed.organ)[::29]:
            source = tuple(index - steps)
            np.testing.assert_allclose(
                placed.image[(slice(None), *index)], donor.image()[(slice(None), *source)], atol=1e-4
            )
            assert placed.label[tuple(index)] == donor.label()[source]
            assert placed.tumour[tuple(index)] == donor.tumour()[source]
            assert donor.organ()[source]
        assert (placed.organ & (placed.tumour > 0)).sum() > 0.5 * (donor.tumour() > 0).sum()
