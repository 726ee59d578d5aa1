"""Files of scans that cannot be trusted, told in a sentence."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

from nnunetv2_tf.dataset.volumes import check_intact, read_nifti
from nnunetv2_tf.io.errors import UserError

GOOD = np.diag([1.0, 2.0, 3.0, 1.0])
SROWS = 280  # first byte of the affine in a NIfTI header


def written(folder: Path, affine: np.ndarray) -> Path:
    """A scan whose header says where it lies as an affine says, whatever that is."""
    path = folder / "scan.nii"
    image = nibabel.Nifti1Image(np.ones((3, 4, 5), np.float32), GOOD)  # type: ignore[attr-defined]
    image.set_qform(None, 0)
    nibabel.save(image, path)  # type: ignore[attr-defined]
    content = bytearray(path.read_bytes())
    content[SROWS : SROWS + 48] = affine[:3].astype("<f4").tobytes()
    path.write_bytes(content)
    return path


def test_a_scan_is_read_as_it_lies(tmp_path: Path):
    np.testing.assert_array_equal(read_nifti(written(tmp_path, GOOD)).affine, GOOD)


@pytest.mark.parametrize(
    ("place", "value"),
    [((0, 0), np.nan), ((1, 3), np.nan), ((2, 3), np.inf), ((2, 2), 0.0), ((slice(3), 1), [1.0, 0.0, 0.0])],
)
def test_an_affine_that_leads_nowhere_is_refused(tmp_path: Path, place, value):
    affine = GOOD.copy()
    affine[place] = value
    with pytest.raises(UserError, match="does not say where its voxels lie: the affine of its header holds NaN"):
        check_intact(written(tmp_path, affine))


def test_what_is_cut_short_and_what_holds_nan_is_refused(tmp_path: Path):
    path = written(tmp_path, GOOD)
    whole = path.read_bytes()
    path.write_bytes(whole[:-8])
    with pytest.raises(UserError, match="cut short: its 584 bytes cannot hold the 592"):
        read_nifti(path)
    path.write_bytes(whole[:-4] + np.float32(np.nan).tobytes())
    with pytest.raises(UserError, match="holds NaN or infinite values"):
        read_nifti(path)
