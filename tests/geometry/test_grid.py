"""Grids against SimpleITK's geometry and against nnU-Net's own resampling."""

import numpy as np
import pytest
import SimpleITK as sitk
from nnunetv2.imageio.nibabel_reader_writer import NibabelIO, NibabelIOWithReorient

from nnunetv2_tf.geometry.grid import Grid, sideways_axis
from nnunetv2_tf.io.errors import UserError
from tests.scenes import SAME_GRID, SCENES, Built


@pytest.mark.parametrize(("scene", "name"), [(name, name) for name in SCENES], indirect=["scene"])
def test_voxels_lie_where_simpleitk_says(scene: Built, name):
    case = scene.cases[0]
    image = sitk.ReadImage(str(case.files.images[0]))
    for index in ((0, 0, 0), (3, 5, 7)):
        native = case.grid.to_native @ [*index, 1]
        reader = np.empty(3)  # (Z, Y, X) of the reader
        reader[list(case.plan.plans_manager.transpose_forward)] = native[:3]
        expected = image.TransformContinuousIndexToPhysicalPoint(reader[::-1].tolist())
        np.testing.assert_allclose((case.grid.affine @ [*index, 1])[:3], expected, atol=1e-6)
    assert case.grid.resampled is (name not in SAME_GRID)


@pytest.mark.parametrize("scene", SCENES, indirect=True)
def test_spacing_is_that_of_the_plans(scene: Built):
    """As far as whole numbers of voxels allow."""
    case = scene.cases[0]
    slack = np.array(case.plan.manager.spacing) / np.array(case.grid.shape)
    assert (np.abs(np.array(case.grid.spacing) - case.plan.manager.spacing) <= slack).all()
    assert case.grid.fits(case.plan.manager.spacing)
    assert not case.grid.fits([3.3, 3.3, 3.3])


@pytest.mark.parametrize("scene", ["coarser", "finer", "turned"], indirect=True)
def test_stored_arrays_lie_on_the_grid(scene: Built):
    """A ramp over the scan, resampled by nnU-Net, has at every voxel the value of the place the grid gives it."""
    case = scene.cases[0]
    ramp = np.indices(case.grid.cropped).astype(np.float32)
    plan = scene.plan.manager
    resampled = plan.resampling_fn_data(ramp, case.grid.shape, case.grid.native_spacing, plan.spacing)
    inner = (slice(4, -4),) * 3
    for axis, (scale, offset, start) in enumerate(
        zip(np.diag(case.grid.to_native), case.grid.to_native[:3, 3], case.grid.start, strict=False)
    ):
        expected = np.indices(case.grid.shape)[axis] * scale + offset - start
        np.testing.assert_allclose(np.asarray(resampled)[axis][inner], expected[inner], atol=0.05)


def test_pictures_have_no_place():
    properties = {"spacing": [1, 1, 1], "bbox_used_for_cropping": [[0, 1], [0, 4], [0, 4]]}
    sizes = {"shape_after_cropping_and_before_resampling": (1, 4, 4), "shape_before_cropping": (1, 4, 4)}
    with pytest.raises(UserError, match="not of pictures"):
        Grid.of(properties | sizes, (1, 4, 4), (0, 1, 2))


@pytest.mark.parametrize("reader", [NibabelIO, NibabelIOWithReorient])
def test_millimetres_are_the_same_whatever_reads_the_scan(tmp_path, reader):
    """nibabel counts x to the right and y to the front, ITK to the left and to the back."""
    image = sitk.GetImageFromArray(np.random.default_rng(0).normal(size=(6, 7, 8)).astype(np.float32))
    image.SetSpacing((1.0, 2.0, 3.0))
    image.SetOrigin((-20.0, 11.0, 5.0))
    path = str(tmp_path / "scan.nii.gz")
    sitk.WriteImage(image, path)
    array, properties = reader().read_images([path])
    shape = array.shape[1:]
    whole = {"bbox_used_for_cropping": [[0, size] for size in shape], "shape_before_cropping": shape}
    grid = Grid.of({**properties, **whole, "shape_after_cropping_and_before_resampling": shape}, shape, (0, 1, 2))
    for index in ((0, 0, 0), (3, 5, 2)):
        place = (grid.affine @ [*index, 1])[:3].tolist()
        own = image.TransformPhysicalPointToIndex(place)
        assert image.GetPixel(own) == pytest.approx(float(array[(0, *index)]))


def test_the_axis_from_left_to_right():
    grid = np.array([[0, 0, -2.0, 5], [0, 2.0, 0, 5], [2.0, 0, 0, 5], [0, 0, 0, 1]])
    assert sideways_axis(grid) == 2
    assert sideways_axis(grid[:, [2, 1, 0, 3]]) == 0
