"""A scan becomes one of the reference's grid, resampled once, with nothing but brain in it."""

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_tf.dataset.volumes import same_grid
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.registration.pipeline import prepare
from nnunetv2_tf.registration.reference import Reference
from nnunetv2_tf.standin.brains import healthy
from tests.registration.test_register import distorted, landmark_error

pytestmark = pytest.mark.slow


def person(spacing: float = 4.0, channels: tuple[str, ...] = ("t1n", "t2w")) -> list[sitk.Image]:
    shape = tuple(round(size / spacing) for size in (150, 190, 150))
    cohort = healthy(shape=shape, spacing=(spacing,) * 3, channel_names=channels)
    images = [sitk.GetImageFromArray(volume.astype(np.float32)) for volume in cohort.draw(np.random.default_rng(3))[0]]
    for image in images:
        image.SetSpacing((spacing,) * 3)
    return images


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference(person()[0], ("case",), "x")


def test_channels_on_grids_of_their_own_come_to_lie_on_one_another(reference):
    """The second channel was scanned on another grid, a little turned: within-subject and to-reference are one step."""
    one, other = person()
    first, truth = distorted(one, np.random.default_rng(0))
    moved = sitk.Resample(other, first, distorted(one, np.random.default_rng(0))[1].GetInverse(), sitk.sitkLinear, 0.0)
    turned = sitk.Euler3DTransform()
    turned.SetRotation(0.05, -0.04, 0.03)
    turned.SetTranslation((3.0, -2.0, 1.0))
    turned.SetCenter(first.TransformContinuousIndexToPhysicalPoint([size / 2 for size in first.GetSize()]))
    grid = sitk.Image([40, 44, 42], sitk.sitkFloat32)
    grid.SetSpacing((4.2, 4.6, 4.0))
    grid.SetOrigin((-6.0, -4.0, -8.0))
    second = sitk.Resample(moved, grid, turned, sitk.sitkLinear, 0.0)
    prepared = prepare([first, second], reference, "none", n4=False)
    for image, expected in zip(prepared.images, (one, other), strict=True):
        assert same_grid(image, reference.image)
        assert image.GetPixelIDValue() == sitk.sitkInt16
        found, wanted = sitk.GetArrayFromImage(image).astype(float), sitk.GetArrayFromImage(expected)
        both = (found > 0) & (wanted > 0)
        assert both.sum() > 0.93 * (wanted > 0).sum()
        likeness = np.corrcoef(found[both], wanted[both])[0, 1]
        for axis in range(3):  # one voxel off would be seen
            assert likeness > np.corrcoef(np.roll(found, 1, axis)[both], wanted[both])[0, 1] + 0.02
    matrix = np.reshape(prepared.transform, (4, 4))
    affine = sitk.AffineTransform(matrix[:3, :3].ravel(), matrix[:3, 3])
    assert landmark_error(affine, truth, reference.image, np.random.default_rng(0)) < 2


def test_zero_outside_the_brain_and_never_inside(reference):
    scan = person(channels=("t1n",))[0]
    array = sitk.GetArrayFromImage(scan)
    array[(array > 0) & (array < np.percentile(array[array > 0], 0.5))] = -3  # some of the brain at 0 and below
    dark = sitk.GetImageFromArray(array)
    dark.CopyInformation(scan)
    prepared = prepare([dark], reference, "none", n4=False)
    image, brain = sitk.GetArrayFromImage(prepared.images[0]), sitk.GetArrayFromImage(prepared.brain) > 0
    assert (image[brain] >= 1).all()
    assert not image[~brain].any()
    assert np.percentile(image[brain], 99) == pytest.approx(1000, abs=15)


def test_what_is_measured(reference):
    scan = person(channels=("t1n",))[0]
    measures = prepare([scan], reference, "none", n4=False).measures
    voxels = int((sitk.GetArrayFromImage(scan) != 0).sum())
    assert measures.brain_ml == pytest.approx(voxels * 0.064, rel=0.01)
    assert measures.overlap > 0.99
    assert measures.covered > 0.98
    half = sitk.Crop(reference.image, [0, 0, 18], [0, 0, 0])
    assert prepare([scan], Reference(half, (), "x"), "none", n4=False).measures.covered < 0.8


def test_what_cannot_be_prepared_is_said(reference):
    scan = person(channels=("t1n",))[0]
    normalised = (scan - 300) * sitk.Cast(scan != 0, sitk.sitkFloat32)
    with pytest.raises(UserError, match="% of its brain are below 0, as after normalisation"):
        prepare([normalised], reference, "none", n4=False)
    with pytest.raises(UserError, match="no brain is found in it"):
        prepare([scan * 0], reference, "none", n4=False)


def test_a_channel_that_shows_half_of_the_brain_counts_as_not_covered(reference):
    one, other = person()
    half = sitk.Crop(other, [0, 0, 18], [0, 0, 0])
    assert prepare([one, other], reference, "none", n4=False).measures.covered > 0.98
    assert prepare([one, half], reference, "none", n4=False).measures.covered < 0.8


def test_n4_takes_shading_away_and_keeps_the_mean(reference):
    scan = person(channels=("t1n",))[0]
    array = sitk.GetArrayFromImage(scan)
    shading = np.exp(np.linspace(-0.8, 0.8, array.shape[1]))[None, :, None]
    shaded = sitk.GetImageFromArray((array * shading).astype(np.float32))
    shaded.CopyInformation(scan)
    plain, corrected = (
        sitk.GetArrayFromImage(prepare([shaded], reference, "none", n4=n4).images[0]).astype(float)
        for n4 in (False, True)
    )
    both = (plain > 0) & (array > 0)
    likeness = [np.corrcoef(image[both], array[both])[0, 1] for image in (plain, corrected)]
    assert likeness[1] > likeness[0] + 0.03
