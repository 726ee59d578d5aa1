"""A healthy dataset by a labelled one's plans, against nnU-Net's own command."""

import shutil
from dataclasses import replace

import pytest
import SimpleITK as sitk

from nnunetv2_tf.commands import preprocess_healthy
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.standin.brains import healthy
from nnunetv2_tf.working_space.healthy import PreprocessHealthyRequest, check_same_orientation, healthy_cases
from nnunetv2_tf.working_space.healthy import preprocess_healthy as preprocess
from nnunetv2_tf.working_space.preprocess import Plan
from tests.workspace import HEALTHY, Workspace, stored

pytestmark = pytest.mark.slow

IDENTIFIER = "nnUNetPlans_from501_3d_fullres"
REQUEST = PreprocessHealthyRequest("501", "601", "nnUNetPlans", ("3d_fullres",))


@pytest.fixture
def both(workspace: Workspace) -> Workspace:
    healthy().write_dataset(HEALTHY.raw, 3, seed=5, prefix="person")
    return workspace


@pytest.mark.parametrize("configuration", ["3d_fullres", pytest.param("2d", marks=pytest.mark.exhaustive)])
def test_the_same_as_the_stock_command_makes(both: Workspace, configuration):
    preprocess(replace(REQUEST, configurations=(configuration,)))
    folder = HEALTHY.preprocessed / f"nnUNetPlans_from501_{configuration}"
    ours = stored(folder)
    assert len(ours) == 9
    shutil.rmtree(folder)
    both.run("nnUNetv2_preprocess", "-d", 601, "-plans_name", "nnUNetPlans_from501", "-c", configuration, "-np", 1)
    assert stored(folder) == ours


def test_only_what_is_missing_or_out_of_date_is_done(both: Workspace, capsys):
    def done() -> str:
        preprocess(REQUEST)
        return capsys.readouterr().out

    assert "3 of 3 scans preprocessed" in done()
    assert "0 of 3" in done()
    (HEALTHY.preprocessed / IDENTIFIER / "person_001.b2nd").unlink()
    assert "1 of 3" in done()
    scan = HEALTHY.raw / "imagesTr" / "person_002_0000.nii.gz"
    sitk.WriteImage(sitk.ReadImage(str(scan)) * 2, str(scan))
    assert "1 of 3" in done()
    path = both.dataset.preprocessed / "nnUNetPlans.json"
    plans = read_json(path, "")
    plans["configurations"]["3d_fullres"]["spacing"] = [2.0, 2.0, 2.0]
    write_json(path, plans)
    assert "3 of 3" in done()


def test_arrays_of_scans_that_are_gone_go_too(both: Workspace):
    preprocess(REQUEST)
    (HEALTHY.raw / "imagesTr" / "person_001_0000.nii.gz").unlink()
    (HEALTHY.raw / "labelsTr" / "person_001.nii.gz").unlink()
    preprocess(REQUEST)
    folder = HEALTHY.preprocessed / IDENTIFIER
    assert {path.name.split(".")[0].removesuffix("_seg") for path in folder.iterdir()} == {"person_000", "person_002"}


def test_healthy_cases_are_hosts_without_tumour(both: Workspace):
    plan = Plan.read(both.dataset, "nnUNetPlans", "3d_fullres")
    with pytest.raises(UserError, match="is not preprocessed with the plans of .*; run nnUNetv2_tf_preprocess_healthy"):
        healthy_cases(both.dataset, HEALTHY, plan)
    preprocess(REQUEST)
    cases = healthy_cases(both.dataset, HEALTHY, plan)
    assert [case.identifier for case in cases] == ["person_000", "person_001", "person_002"]
    for case in (case.open() for case in cases):
        assert not case.label().any()
        assert not case.has_tumour()
        brain = sitk.GetArrayFromImage(sitk.ReadImage(str(case.files.label)))
        assert case.organ().sum() == brain.sum()
    scan = HEALTHY.raw / "imagesTr" / "person_002_0000.nii.gz"
    sitk.WriteImage(sitk.ReadImage(str(scan)) * 2, str(scan))
    with pytest.raises(UserError, match="person_002 of .* is not preprocessed, or was before it or the plans changed"):
        healthy_cases(both.dataset, HEALTHY, plan)


def test_scans_that_are_stored_turned_are_refused(both: Workspace):
    """nnU-Net's usual reader takes voxels as they are stored, so brains would lie across one another."""
    path = HEALTHY.raw / "imagesTr" / "person_001_0000.nii.gz"
    sitk.WriteImage(sitk.DICOMOrient(sitk.ReadImage(str(path)), "RAS"), str(path))
    with pytest.raises(UserError, match="person_001_0000.nii.gz is stored as RAS, the scans of .* as LPS"):
        preprocess(REQUEST)
    plans = both.dataset.preprocessed / "nnUNetPlans.json"
    write_json(plans, read_json(plans, "") | {"image_reader_writer": "NibabelIOWithReorient"})
    check_same_orientation(both.dataset, HEALTHY, "nnUNetPlans")


def test_by_default_for_what_the_labelled_dataset_is_preprocessed_for(both: Workspace, capsys):
    preprocess(PreprocessHealthyRequest("501", "601"))
    assert [path.name for path in sorted(HEALTHY.preprocessed.iterdir()) if path.is_dir()] == [
        "nnUNetPlans_from501_2d", IDENTIFIER,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("names", "options", "sentence"),
    [
        ({"0": "t2w"}, [], "has the channels t2w, and Dataset501_StandIns has t1n, in this order"),
        ({"0": "t1n", "1": "t2w"}, [], "has the channels t1n, t2w, and"),
        (None, ["-healthy", "501"], "Dataset501_StandIns is the labelled dataset"),
        (None, ["-healthy", "777"], "There is no dataset 777"),
        (None, ["-c", "3d_lowres"], "has no configuration 3d_lowres"),
        (None, ["-p", "nnUNetPlansOther"], "nnUNetPlansOther.json does not exist"),
    ],
)
def test_what_does_not_fit_is_said(both: Workspace, names, options, sentence, monkeypatch, capsys):
    if names is not None:
        path = HEALTHY.raw / "dataset.json"
        write_json(path, read_json(path, "") | {"channel_names": names})
    monkeypatch.setattr("sys.argv", ["nnUNetv2_tf_preprocess_healthy", "-d", "501", "-healthy", "601", *options])
    assert preprocess_healthy.main() == 2
    assert sentence in capsys.readouterr().err
    assert not (HEALTHY.preprocessed / IDENTIFIER).exists()


def test_a_damaged_scan_is_one_sentence(both: Workspace):
    scan = HEALTHY.raw / "imagesTr" / "person_002_0000.nii.gz"
    scan.write_bytes(scan.read_bytes()[:500])
    with pytest.raises(UserError, match="person_002_0000.*damaged or cut short"):
        preprocess(REQUEST)
