"""Known transforms are found again, and different people come to lie on one another better than by their centres."""

import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_tf.registration.register import by_moments, matrix_of, register
from nnunetv2_tf.standin.brains import healthy

pytestmark = pytest.mark.slow

REAL = os.environ.get("NNUNETV2_TF_REAL_DATA")


def stand_in(seed: int, spacing: float) -> sitk.Image:
    shape = tuple(round(size / spacing) for size in (150, 190, 150))
    cohort = healthy(shape=shape, spacing=(spacing,) * 3)
    image = sitk.GetImageFromArray(cohort.draw(np.random.default_rng(seed))[0][0].astype(np.float32))
    image.SetSpacing((spacing,) * 3)
    image.SetOrigin((-70.0, 20.0, -90.0))
    return image


def distorted(image: sitk.Image, rng: np.random.Generator) -> tuple[sitk.Image, sitk.Transform]:
    """The image turned by up to 17 degrees, shifted, stretched and sheared; and the transform that undoes it."""
    turned = sitk.Euler3DTransform()
    turned.SetRotation(*rng.uniform(-0.3, 0.3, 3))
    stretched = np.diag(rng.uniform(0.9, 1.1, 3)) @ (np.eye(3) + rng.uniform(-0.03, 0.03, (3, 3)))
    transform = sitk.AffineTransform(3)
    transform.SetCenter(image.TransformContinuousIndexToPhysicalPoint([size / 2 for size in image.GetSize()]))
    transform.SetMatrix((np.array(turned.GetMatrix()).reshape(3, 3) @ stretched).ravel())
    transform.SetTranslation(rng.uniform(-15, 15, 3))
    return sitk.Resample(image, image, transform, sitk.sitkLinear, 0.0), transform.GetInverse()


def landmark_error(found: sitk.Transform, truth: sitk.Transform, image: sitk.Image, rng: np.random.Generator) -> float:
    """Mean distance in mm over 300 points of the brain."""
    inside = np.argwhere(sitk.GetArrayFromImage(image) > 0)
    points = [image.TransformIndexToPhysicalPoint(point[::-1].tolist()) for point in rng.choice(inside, 300)]
    pairs = [(found.TransformPoint(point), truth.TransformPoint(point)) for point in points]
    return float(np.mean([np.linalg.norm(np.subtract(*pair)) for pair in pairs]))


@pytest.mark.parametrize(
    "seed", [0, pytest.param(1, marks=pytest.mark.exhaustive), pytest.param(2, marks=pytest.mark.exhaustive)]
)
def test_a_known_transform_is_recovered_at_two_mm(seed):
    rng = np.random.default_rng(seed)
    reference = stand_in(seed, 2.0)
    moved, truth = distorted(reference, rng)
    found = register(moved, reference)
    assert landmark_error(found.transform, truth, reference, rng) < 1.0  # half a voxel
    assert landmark_error(by_moments(moved, reference), truth, reference, rng) > 5
    assert found.after > found.before


def test_the_same_scans_give_the_same_transform():
    reference = stand_in(0, 4.0)
    moved, _ = distorted(reference, np.random.default_rng(0))
    one, other = (register(moved, reference).transform.GetParameters() for _ in range(2))
    assert one == other


def test_thick_slices_count_no_less():
    """A clinical scan with slices of 6 mm, laid upon a reference that has such slices too."""
    fine = stand_in(0, 2.0)
    grid = sitk.Image([75, 95, 25], sitk.sitkFloat32)
    grid.SetSpacing((2.0, 2.0, 6.0))
    grid.SetOrigin(fine.GetOrigin())
    reference = sitk.Resample(fine, grid, sitk.Transform(), sitk.sitkLinear, 0.0)
    moved, truth = distorted(fine, np.random.default_rng(0))
    thick = sitk.Resample(moved, grid, sitk.Transform(), sitk.sitkLinear, 0.0)
    found = register(thick, reference)
    assert landmark_error(found.transform, truth, reference, np.random.default_rng(0)) < 1.5


def test_numbers_of_a_transform_are_its_matrix():
    transform = distorted(stand_in(0, 6.0), np.random.default_rng(0))[1]
    affine = sitk.AffineTransform(transform)
    point = (3.0, -20.0, 44.0)
    ours = np.reshape(matrix_of(affine), (4, 4)) @ [*point, 1.0]
    np.testing.assert_allclose(ours[:3], affine.TransformPoint(point), atol=1e-9)


@pytest.mark.parametrize(("gain", "offset"), [(7.0, 0.0), (-1.0, 400.0)], ids=["brighter", "inverted"])
def test_brightness_does_not_matter(gain, offset):
    reference = stand_in(0, 3.0)
    moved, truth = distorted(reference, np.random.default_rng(0))
    other = sitk.Cast(moved != 0, sitk.sitkFloat32) * (moved * gain + offset)
    assert landmark_error(register(other, reference).transform, truth, reference, np.random.default_rng(0)) < 1.5


@pytest.mark.exhaustive
@pytest.mark.skipif(REAL is None, reason="no real scans")
def test_real_scans():
    """One patient's scan at 1 mm distorted, and healthy people laid upon it."""
    data, rng = Path(str(REAL)), np.random.default_rng(0)
    reference = sitk.ReadImage(str(data / "BraTS-Africa/BraTS-SSA-00002-000/BraTS-SSA-00002-000-t1n.nii.gz"))
    moved, truth = distorted(reference, rng)
    assert landmark_error(register(moved, reference).transform, truth, reference, rng) < 1.0
    for path in sorted((data / "ds002748").glob("sub-*/anat/*_T1w.nii.gz"))[:2]:
        scan = sitk.ReadImage(str(path), sitk.sitkFloat32)
        registration = register(scan, reference)
        ours, centred = (
            brain_dice(scan, reference, way) for way in (registration.transform, by_moments(scan, reference))
        )
        assert ours > max(0.9, centred + 0.03)
        assert registration.after > registration.before


def brain_dice(scan: sitk.Image, reference: sitk.Image, transform: sitk.Transform) -> float:
    brain = sitk.Resample(sitk.Cast(scan != 0, sitk.sitkUInt8), reference, transform, sitk.sitkNearestNeighbor, 0)
    one, other = sitk.GetArrayFromImage(brain) > 0, sitk.GetArrayFromImage(reference) != 0
    return 2 * float((one & other).sum()) / float(one.sum() + other.sum())
