import os

import pytest

from nnunetv2_tf import _autoreg
from nnunetv2_tf.commands import diagnosis
from tests.workspace import Workspace


def test_all_is_well(workspace: Workspace):
    found = diagnosis.diagnose()
    assert found.problems == ()
    assert str(found).endswith(
        "nnU-Net finds TFBaselineTrainer, TFEnrichedTrainer, TFOnlineTrainer and TFMixupTrainer."
    )
    assert f"nnUNet_raw         {workspace.variables['nnUNet_raw']}" in found.facts


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("nnUNet_raw", None, "nnUNet_raw is not set; export nnUNet_raw="),
        ("nnUNet_results", "/nowhere", "nnUNet_results names /nowhere, which does not exist"),
        ("nnUNet_extTrainer", None, "does not name our folder (Python did not read nnunetv2_tf.pth"),
    ],
)
def test_what_is_wrong_comes_with_its_cure(workspace: Workspace, monkeypatch, variable, value, problem):
    if value is None:
        monkeypatch.delenv(variable)
    else:
        monkeypatch.setenv(variable, value)
    (said,) = diagnosis.diagnose().problems
    assert problem in said


def test_another_package_that_answers_first(workspace: Workspace, monkeypatch):
    thief = workspace.root / "thief"
    thief.mkdir()
    source = "from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer as TFBaselineTrainer"
    (thief / "thief_trainers.py").write_text(source, encoding="utf-8")
    monkeypatch.setenv("nnUNet_extTrainer", os.pathsep.join([str(thief), _autoreg.FOLDER]))
    (said,) = diagnosis.diagnose().problems
    assert "another package answers to TFBaselineTrainer" in said
    (thief / "thief_trainers.py").write_text("import a_package_nobody_has", encoding="utf-8")
    (said,) = diagnosis.diagnose().problems
    assert "nnU-Net's search for TFBaselineTrainer failed: ModuleNotFoundError" in said


def test_registering_appends_once_and_can_be_switched_off():
    environ = {"nnUNet_extTrainer": "/mine"}
    for _ in range(2):
        _autoreg.register(environ)
    assert environ["nnUNet_extTrainer"] == os.pathsep.join(["/mine", _autoreg.FOLDER])
    for value, expected in (("1", {}), ("0", {_autoreg.VARIABLE: _autoreg.FOLDER})):
        environ = {"NNUNETV2_TF_NO_AUTOREG": value}
        _autoreg.register(environ)
        del environ["NNUNETV2_TF_NO_AUTOREG"]
        assert environ == expected
