from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_tf.conversion.healthy.dicom import read_series
from nnunetv2_tf.io.errors import UserError
from tests.conversion.series import write_series

RNG = np.random.default_rng(0)


@pytest.fixture
def volume() -> sitk.Image:
    """Oblique, with three sizes and three spacings."""
    image = sitk.GetImageFromArray(RNG.integers(0, 900, (9, 12, 10)).astype(np.int16))
    image.SetSpacing((0.9, 1.1, 2.5))
    image.SetOrigin((-40.0, 12.5, 7.0))
    turned = sitk.Euler3DTransform()
    turned.SetRotation(0.1, -0.2, 0.3)
    image.SetDirection(turned.GetMatrix())
    return image


def test_voxels_and_geometry_come_back_and_nothing_of_the_patient(volume, tmp_path):
    write_series(volume, tmp_path)
    (tmp_path / "elsewhere").mkdir()  # no slice
    read = read_series(tmp_path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read), sitk.GetArrayFromImage(volume))
    np.testing.assert_allclose(read.GetSpacing(), volume.GetSpacing(), atol=1e-4)
    np.testing.assert_allclose(read.GetOrigin(), volume.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(read.GetDirection(), volume.GetDirection(), atol=1e-6)
    assert read.GetMetaDataKeys() == ()


def test_what_is_wrong_with_a_series(volume, tmp_path):
    def refused(folder: Path, sentence: str) -> None:
        with pytest.raises(UserError, match=sentence):
            read_series(folder)

    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "holds no DICOM series")
    write_series(volume, tmp_path / "gap")[4].unlink()
    refused(tmp_path / "gap", "lacks slices or has some twice")
    for file in write_series(volume, tmp_path / "one")[1:]:
        file.unlink()
    refused(tmp_path / "one", "holds one slice")
    write_series(volume, tmp_path / "two")
    for file in write_series(volume, tmp_path / "second", uid="1.2.826.0.1.3680043.2.1125.2"):
        file.rename(tmp_path / "two" / f"second_{file.name}")
    refused(tmp_path / "two", "holds 2 DICOM series")
    write_series(volume, tmp_path / "cut")[3].write_bytes(b"DICM" * 50)
    refused(tmp_path / "cut", "lacks slices or has some twice")
    cropped = write_series(volume[:, :8], tmp_path / "cropped")[3]
    cropped.replace(write_series(volume, tmp_path / "mixed")[3])
    refused(tmp_path / "mixed", "a slice cannot be read or has another size than the others")


def test_of_two_echoes_the_late_one_is_t2(volume, tmp_path):
    late = sitk.Cast(volume * 2, sitk.sitkInt16)
    write_series(volume, tmp_path, echo=20)
    write_series(late, tmp_path, echo=90)
    for channel, expected in (("t2w", late), ("pdw", volume)):
        read = sitk.GetArrayFromImage(read_series(tmp_path, channel))
        np.testing.assert_array_equal(read, sitk.GetArrayFromImage(expected))
    with pytest.raises(UserError, match="holds echoes of 20, 90 ms in one series"):
        read_series(tmp_path, "t1n")
