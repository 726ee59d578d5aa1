"""Scans without affines have to lie where the healthy ones do."""

import shutil
from pathlib import Path

import pytest
import SimpleITK as sitk

from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.folders import PREPARATION, Dataset
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import write_json
from nnunetv2_tf.registration.affines import check_shares_space
from nnunetv2_tf.registration.reference import reference_file
from nnunetv2_tf.standin.brains import healthy
from tests.workspace import HEALTHY, Workspace

MORE = Dataset("Dataset602_More")


@pytest.fixture
def laid(workspace: Workspace) -> Workspace:
    """Healthy scans that were laid upon the reference of the labelled ones, and others, on the same grid."""
    healthy().write_dataset(HEALTHY.raw, 1, seed=5, prefix="person")
    healthy().write_dataset(MORE.raw, 2, seed=6, prefix="scan")
    write_json(HEALTHY.raw / PREPARATION, {"reference": "501", "fold": 0})
    path = reference_file(workspace.dataset, 0)
    path.parent.mkdir(parents=True)
    shutil.copy(next(iter(raw_cases(workspace.dataset).values())).images[0], path)
    return workspace


def moved(path: Path) -> None:
    image = sitk.ReadImage(str(path))
    image.SetOrigin((3.0, 0.0, 0.0))
    sitk.WriteImage(image, str(path))


def test_scans_on_the_references_grid_share_its_space(laid: Workspace):
    check_shares_space(laid.dataset, HEALTHY, MORE)
    moved(MORE.raw / "imagesTr" / "scan_001_0000.nii.gz")
    with pytest.raises(UserError, match="scan_001_0000.nii.gz does not lie upon the reference of Dataset601_Healthy"):
        check_shares_space(laid.dataset, HEALTHY, MORE)


@pytest.mark.parametrize("typed", ["501", "0501", " 501", "Dataset501_StandIns", "Dataset501_StandIns/"])
def test_however_the_reference_was_typed(laid: Workspace, typed):
    assert Dataset.find(typed) == laid.dataset
    write_json(HEALTHY.raw / PREPARATION, {"reference": typed, "fold": 0})
    moved(MORE.raw / "imagesTr" / "scan_001_0000.nii.gz")
    with pytest.raises(UserError, match="does not lie upon the reference"):
        check_shares_space(laid.dataset, HEALTHY, MORE)
    write_json(HEALTHY.raw / PREPARATION, {"reference": "Dataset5010_StandIns", "fold": 0})
    check_shares_space(laid.dataset, HEALTHY, MORE)


def test_so_do_those_that_were_laid_upon_it(laid: Workspace):
    moved(MORE.raw / "imagesTr" / "scan_001_0000.nii.gz")
    write_json(MORE.raw / PREPARATION, {"reference": laid.dataset.name, "fold": 0})
    check_shares_space(laid.dataset, HEALTHY, MORE)
    write_json(MORE.raw / PREPARATION, {"reference": laid.dataset.name, "fold": 1})
    with pytest.raises(UserError, match="convert Dataset602_More with nnUNetv2_tf_convert_healthy -reference 501"):
        check_shares_space(laid.dataset, HEALTHY, MORE)


def test_where_nothing_was_laid_upon_anything_all_share_their_millimetres(laid: Workspace):
    moved(MORE.raw / "imagesTr" / "scan_001_0000.nii.gz")
    (HEALTHY.raw / PREPARATION).unlink()
    check_shares_space(laid.dataset, HEALTHY, MORE)
