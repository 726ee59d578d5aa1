"""Real glioma scans through the whole of `--add`: what is stored equals what stock nnU-Net stores."""

import os
import shutil
from pathlib import Path

import pytest

from nnunetv2_tf.folders import VARIABLES, Dataset
from nnunetv2_tf.sets import actions
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.work import write_json
from tests.conftest import enter
from tests.workspace import Workspace, stored

DATA = os.environ.get("NNUNETV2_TF_REAL_DATA")

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not DATA, reason="NNUNETV2_TF_REAL_DATA is not set")]

DESCRIPTION = {
    "channel_names": {"0": "t1n"},
    "labels": {"background": 0, "NCR": 1, "ED": 2, "ET": 3},
    "numTraining": 5,
    "file_ending": ".nii.gz",
}


def copy_case(source: Path, folder: Path, name: str) -> None:
    for suffix, target in (("t1n", f"imagesTr/{name}_0000.nii.gz"), ("seg", f"labelsTr/{name}.nii.gz")):
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(next(source.glob(f"*-{suffix}.nii.gz")), folder / target)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    workspace = Workspace(tmp_path, Dataset("Dataset501_Africa"))
    enter(workspace, monkeypatch)
    for variable in VARIABLES:
        (tmp_path / variable).mkdir()
    return workspace


def test_real_scans_join_a_set_as_nnunet_would_store_them(workspace: Workspace):
    """Five real cases at 4 mm; a copy of one of them, under another name, plays the synthetic case."""
    cases = sorted(path for path in Path(str(DATA), "BraTS-Africa").iterdir() if path.is_dir())[:5]
    for case in cases:
        copy_case(case, workspace.dataset.raw, case.name)
    write_json(workspace.dataset.raw / "dataset.json", DESCRIPTION)
    spacing = ["-overwrite_target_spacing", 4, 4, 4, "-overwrite_plans_name", "nnUNetPlans4mm"]
    workspace.run("nnUNetv2_plan_and_preprocess", "-d", 501, "-c", "3d_fullres", "-np", 2, "-npfp", 2, *spacing)
    foreign = workspace.root / "foreign"
    copy_case(cases[0], foreign, "fabricated")
    write_json(foreign / "ancestors.json", {"fabricated": [cases[0].name]})
    clean = [fold for fold in range(5) if cases[0].name in training_of(workspace, fold)]
    actions.add("501", foreign, "demo", clean, foreign / "ancestors.json", ["3d_fullres"], "nnUNetPlans4mm", 1)
    assert len(clean) == 4
    assert workspace.plan(name="nnUNetPlans4mm").masked
    identifier = workspace.plan(name="nnUNetPlans4mm").data_identifier
    ours = stored(SetPart(workspace.dataset, "demo", clean[0]).preprocessed(identifier))
    assert len(ours) == 3
    assert ours == {
        name.replace(cases[0].name, "fabricated"): data
        for name, data in stored(workspace.dataset.preprocessed / identifier).items()
        if name.startswith(cases[0].name)
    }


def training_of(workspace: Workspace, fold: int) -> tuple[str, ...]:
    from nnunetv2_tf.cases import raw_cases
    from nnunetv2_tf.folds import fold_split

    return fold_split(workspace.dataset, fold, raw_cases(workspace.dataset)).train
