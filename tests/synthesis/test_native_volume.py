"""Files keep everything but the voxels that are written."""

import gzip

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from nibabel.nifti1 import Nifti1Extension
from nnunetv2.imageio.nibabel_reader_writer import NibabelIO, NibabelIOWithReorient
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO, SimpleITKIOWithReorient

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.synthesis.native_volume import read_volume

READERS = {
    reader.__name__: reader for reader in (SimpleITKIO, SimpleITKIOWithReorient, NibabelIO, NibabelIOWithReorient)
}
RNG = np.random.default_rng(0)
TURNS = ["RAS", "LPS", "PIR", "SLA"]


def nifti(path, kind, turn="RAS", slope=1.0, intercept=0.0) -> np.ndarray:
    """An oblique file in any orientation with scale, description and extension."""
    values = RNG.integers(0, 100, (7, 9, 8)).astype(kind)
    orientation = nibabel.orientations.axcodes2ornt(turn)
    affine = np.diag([1.2, 0.9, 2.0, 1.0])
    affine[:3, 3] = [10, -20, 30]
    affine = affine @ nibabel.orientations.inv_ornt_aff(orientation, (7, 9, 8))
    header = nibabel.Nifti1Header(endianness=np.dtype(kind).str[0].replace("|", "<"))
    image = nibabel.Nifti1Image(values, affine, header, dtype=np.dtype(kind))
    image.header["descrip"] = b"a scan"
    image.header.extensions.append(Nifti1Extension("comment", b"kept"))
    image.header.set_slope_inter(slope, intercept)
    nibabel.save(image, path)
    if slope != 1.0 or intercept:  # nibabel divides by the scale; write the file_voxels numbers as they are
        content = gzip.decompress(path.read_bytes())
        offset = nibabel.load(path).dataobj.offset  # type: ignore[attr-defined]
        path.write_bytes(gzip.compress(content[:offset] + values.tobytes(order="F")))
    return values


@pytest.mark.parametrize("kind", [np.int16, np.float32, np.uint8, np.float64, ">i2"])
@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("reader", READERS)
def test_turned_as_nnunets_reader_turns(tmp_path, kind, turn, reader):
    path = tmp_path / "a.nii.gz"
    nifti(path, kind, turn)
    expected, _ = READERS[reader]().read_images([str(path)])
    volume = read_volume(path, reader)
    np.testing.assert_array_equal(volume.to_native(volume.file_voxels), expected[0])
    assert volume.dtype == np.dtype(kind)


@pytest.mark.parametrize("kind", [np.int16, np.float32, np.uint8])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_untouched_files_come_out_byte_for_byte(tmp_path, kind, ending):
    nifti(tmp_path / "a.nii.gz", kind, "PIR", slope=0.5, intercept=2.0)
    content = gzip.decompress((tmp_path / "a.nii.gz").read_bytes())
    source = tmp_path / f"a{ending}"
    source.write_bytes(gzip.compress(content) if ending == ".nii.gz" else content)
    read_volume(source, "NibabelIOWithReorient").write(tmp_path / f"b{ending}")
    written = (tmp_path / f"b{ending}").read_bytes()
    assert (gzip.decompress(written) if ending == ".nii.gz" else written) == content


def test_scale_is_applied_and_turned_back(tmp_path):
    values = nifti(tmp_path / "a.nii.gz", np.int16, slope=0.5, intercept=2.0)
    volume = read_volume(tmp_path / "a.nii.gz", "NibabelIO")
    np.testing.assert_allclose(volume.to_native(volume.file_voxels), values.T * 0.5 + 2)
    assert volume.step == 0.5
    volume.file_voxels[1, 2, 3] = volume.to_file_values(np.array(7.3))
    volume.write(tmp_path / "b.nii.gz")
    after = nibabel.load(tmp_path / "b.nii.gz").get_fdata()  # type: ignore[attr-defined]
    assert after[3, 2, 1] == 7.5
    assert (after != values * 0.5 + 2).sum() <= 1


def test_integers_are_rounded_and_limited(tmp_path):
    nifti(tmp_path / "a.nii.gz", np.uint8)
    volume = read_volume(tmp_path / "a.nii.gz", "SimpleITKIO")
    np.testing.assert_array_equal(volume.to_file_values(np.array([-4.0, 0.4, 1.6, 300.0])), [0, 0, 2, 255])


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("reader", ["SimpleITKIO", "SimpleITKIOWithReorient"])
def test_other_formats(tmp_path, ending, turn, reader):
    nifti(tmp_path / "a.nii.gz", np.int16, turn)
    image = sitk.ReadImage(str(tmp_path / "a.nii.gz"))
    sitk.WriteImage(image, str(tmp_path / f"a{ending}"))
    expected, _ = READERS[reader]().read_images([str(tmp_path / f"a{ending}")])
    volume = read_volume(tmp_path / f"a{ending}", reader)
    np.testing.assert_array_equal(volume.file_voxels, expected[0])
    volume.file_voxels[0, 0, 0] = 123
    volume.write(tmp_path / f"b{ending}")
    again = sitk.ReadImage(str(tmp_path / f"b{ending}"))
    for after, before in zip(geometry(again), geometry(image), strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-12)
    assert again.GetPixelID() == image.GetPixelID()
    changed = READERS[reader]().read_images([str(tmp_path / f"b{ending}")])[0][0]
    assert changed[0, 0, 0] == 123
    assert (changed != expected[0]).sum() == 1
    assert {path.name for path in tmp_path.iterdir()} == {f"a{ending}", "a.nii.gz", f"b{ending}"}


def geometry(image: sitk.Image) -> tuple:
    return image.GetDirection(), image.GetOrigin(), image.GetSpacing()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda content: gzip.compress(content)[:-300], "is damaged or cut short"),
        (lambda content: gzip.compress(content[:-10]), "is damaged or cut short"),
        (lambda content: b"no nifti at all", "is damaged or cut short"),
        (lambda content: gzip.compress(b"x" * 1000), "is damaged or cut short"),
        (lambda content: gzip.compress(content[:-4] + np.float32("nan").tobytes()), "holds NaN or infinite values"),
    ],
)
def test_damage_is_explained(tmp_path, spoil, sentence):
    path = tmp_path / "a.nii.gz"
    nifti(path, np.float32)
    path.write_bytes(spoil(gzip.decompress(path.read_bytes())))
    with pytest.raises(UserError, match=f"a.nii.gz.*{sentence}"):
        read_volume(path, "SimpleITKIO")


def test_missing_and_four_dimensional_files(tmp_path):
    with pytest.raises(UserError, match="does not exist; put it back"):
        read_volume(tmp_path / "a.nii.gz", "SimpleITKIO")
    nibabel.save(nibabel.Nifti1Image(np.zeros((3, 3, 3, 2), np.int16), np.eye(4)), tmp_path / "a.nii.gz")
    with pytest.raises(UserError, match="is 4-dimensional; write it as one 3D file"):
        read_volume(tmp_path / "a.nii.gz", "SimpleITKIO")
