"""Headers that claim what cannot be, before any library believes them."""

import gzip
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from nibabel.nifti1 import Nifti1Extension, Nifti1Image
from nibabel.nifti2 import Nifti2Image

from nnunetv2_tf.dataset import nifti_header
from nnunetv2_tf.dataset.nifti_header import check_header, voxels_end
from nnunetv2_tf.dataset.volumes import read_image, read_nifti
from nnunetv2_tf.io.errors import UserError

SHAPE = (4, 5, 6)
DIM, BITPIX, PIXDIM, OFFSET, SLOPE, SFORM_CODE, SROW, MAGIC = 40, 72, 80, 108, 112, 254, 280, 344


def written(path: Path, kind: type = Nifti1Image, dtype: type = np.int16) -> Path:
    image = kind(np.arange(120, dtype=dtype).reshape(SHAPE), np.diag([1.0, 2.0, 3.0, 1.0]))
    nibabel.save(image, path)  # type: ignore[attr-defined]
    return path


def changed(path: Path, offset: int, layout: str, *values: float) -> Path:
    """Write values into the header of a .nii file."""
    content = bytearray(path.read_bytes())
    struct.pack_into(layout, content, offset, *values)
    path.write_bytes(bytes(content))
    return path


@pytest.mark.parametrize("kind", [Nifti1Image, Nifti2Image])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_good_file_is_as_long_as_its_header_says(tmp_path, kind, name):
    path = written(tmp_path / name, kind)
    content = gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes()
    assert voxels_end(check_header(path)) == len(content)


@pytest.mark.parametrize(
    ("offset", "layout", "values", "said"),
    [
        (DIM, "<8h", (3, 32767, 32767, 32767, 1, 1, 1, 1), "more than any scan"),
        (DIM, "<8h", (3, -1, 5, 6, 1, 1, 1, 1), "damaged"),
        (DIM, "<8h", (0, 4, 5, 6, 1, 1, 1, 1), "damaged"),
        (DIM, "<8h", (3, 4, 5, 600, 1, 1, 1, 1), "cut short"),
        (BITPIX, "<h", (8,), "damaged"),
        (OFFSET, "<f", (float("nan"),), "damaged"),
        (OFFSET, "<f", (-352.0,), "damaged"),
        (OFFSET, "<f", (1e9,), "damaged"),
        (SLOPE, "<f", (float("inf"),), "damaged"),
        (PIXDIM + 4, "<f", (float("nan"),), "damaged"),
        (SROW, "<f", (float("nan"),), "where its voxels lie"),
        (SROW, "<4f", (0.0, 0.0, 0.0, 0.0), "where its voxels lie"),
        (MAGIC, "<4s", (b"none",), "damaged"),
    ],
)
def test_what_no_file_can_have_is_said_in_a_sentence(tmp_path, offset, layout, values, said):
    path = changed(written(tmp_path / "a.nii"), offset, layout, *values)
    with pytest.raises(UserError, match=said) as caught:
        read_nifti(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("size", [-1, 0, 1 << 30])
def test_extensions_that_lie_about_their_length_are_not_read(tmp_path, size, monkeypatch):
    monkeypatch.setattr(nibabel, "load", lambda *_: pytest.fail("a library has read on"))
    image = Nifti1Image(np.zeros(SHAPE, np.int16), np.eye(4))
    image.header.extensions.append(Nifti1Extension("comment", b"hello"))
    path = tmp_path / "a.nii"
    image.to_filename(path)
    assert check_header(path)["vox_offset"] > 352
    changed(path, 352, "<i", size)
    with pytest.raises(UserError, match="damaged"):
        read_nifti(path)


def test_a_small_archive_that_claims_much_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(nibabel, "load", lambda *_: pytest.fail("a library has read on"))
    whole = changed(written(tmp_path / "a.nii"), DIM, "<8h", 3, 800, 800, 800, 1, 1, 1, 1)
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(whole.read_bytes()))
    with pytest.raises(UserError, match="cut short"):
        read_nifti(path)


def test_the_limit_on_voxels_is_no_scan_s(tmp_path):
    assert 512 * 512 * 1500 < nifti_header.MOST_BYTES / 8 < 1024**3


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b", b"\x1f\x8b\x08" + b"\xff" * 30, b"x" * 400])
def test_what_is_no_archive_is_damaged(tmp_path, content):
    path = tmp_path / "a.nii.gz"
    path.write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        check_header(path)


def sheared(path: Path, degrees: float) -> Path:
    affine = np.array([[1.0, np.tan(np.radians(degrees)), 0, 10], [0, 1, 0, 20], [0, 0, 2, 30], [0, 0, 0, 1]])
    image = Nifti1Image(np.arange(120, dtype=np.int16).reshape(SHAPE), affine)
    image.header["qform_code"] = 0
    nibabel.save(image, path)  # type: ignore[attr-defined]
    return path


def test_a_slightly_sheared_scan_is_read_by_the_nearest_straight_axes(tmp_path):
    path = sheared(tmp_path / "a.nii.gz", 1.0)
    with pytest.raises(RuntimeError, match="orthonormal"):
        sitk.ReadImage(str(path))
    scan = read_image(path)
    axes = np.reshape(scan.GetDirection(), (3, 3))
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-9)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(scan).T, np.arange(120).reshape(SHAPE))
    stored = nibabel.load(path).affine  # type: ignore[attr-defined]
    middle = (np.array(SHAPE) - 1) / 2
    theirs = scan.TransformContinuousIndexToPhysicalPoint(middle.tolist())
    np.testing.assert_allclose(np.diag([-1, -1, 1]) @ theirs, stored[:3, :3] @ middle + stored[:3, 3], atol=1e-5)
    corner = scan.TransformIndexToPhysicalPoint((0, 0, 0))
    np.testing.assert_allclose(np.diag([-1, -1, 1]) @ corner, stored[:3, 3], atol=0.1)


def test_a_much_sheared_scan_gets_a_sentence(tmp_path):
    path = sheared(tmp_path / "a.nii.gz", 10.0)
    with pytest.raises(UserError, match="is sheared: its axes are 10.0 degrees off"):
        read_image(path)


def test_a_straight_scan_is_read_as_itk_reads_it(tmp_path):
    path = written(tmp_path / "a.nii.gz")
    ours, theirs = read_image(path), sitk.ReadImage(str(path))
    assert ours.GetPixelID() == theirs.GetPixelID()
    assert (ours.GetOrigin(), ours.GetDirection()) == (theirs.GetOrigin(), theirs.GetDirection())
    np.testing.assert_array_equal(sitk.GetArrayFromImage(ours), sitk.GetArrayFromImage(theirs))
