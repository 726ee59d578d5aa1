"""Two real gliomas with four modalities each: from folders to an enriched training of one epoch, by command line.

Both train, in fold all; with two patients nothing is left to validate on.
"""

import os
from pathlib import Path

import nibabel
import numpy as np
import pytest

from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.folders import VARIABLES, Dataset
from nnunetv2_tf.sets.store import SetPart
from tests.conftest import enter
from tests.workspace import TINY, Workspace, write_test_plans

DATA = os.environ.get("NNUNETV2_TF_REAL_DATA")
CASES = ("BraTS-SSA-00002-000", "BraTS-SSA-00112-000")  # none of the final ones
MODALITIES = ("t1n", "t1c", "t2w", "t2f")

pytestmark = [pytest.mark.exhaustive, pytest.mark.skipif(not DATA, reason="NNUNETV2_TF_REAL_DATA is not set")]


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Converted and preprocessed, by plans of a tiny network at 3 mm."""
    root = tmp_path_factory.mktemp("modalities")
    for variable in VARIABLES:
        (root / variable).mkdir()
    (root / "source").mkdir()
    for name in CASES:
        (root / "source" / name).symlink_to(Path(str(DATA)) / "BraTS-Africa" / name)
    workspace = Workspace(root, Dataset("Dataset509_Modalities"))
    identity = ["-i", root / "source", "-d", 509, "-name", "Modalities", "-source", "2023-ssa"]
    workspace.run("nnUNetv2_tf_convert_brats", *identity, "-modalities", *MODALITIES)
    planned = ["-c", "3d_fullres", "--no_pp", "-overwrite_target_spacing", 3, 3, 3, "-overwrite_plans_name", "Coarse"]
    workspace.run("nnUNetv2_plan_and_preprocess", "-d", 509, *planned, nnUNet_n_proc_DA="1")
    with pytest.MonkeyPatch.context() as patch:
        enter(workspace, patch)
        write_test_plans(workspace.dataset, "Coarse", TINY, (32, 32, 32))
    workspace.run(
        "nnUNetv2_preprocess", "-d", 509, "-plans_name", TINY, "-c", "3d_fullres", "-np", 1, nnUNet_n_proc_DA="1"
    )
    return workspace


@pytest.mark.parametrize("method", ["carvemix", "cutmix", "tumorcp"])
def test_all_channels_are_edited_and_train(patients: Workspace, method: str, monkeypatch: pytest.MonkeyPatch):
    command = ["nnUNetv2_tf_synthesize", 509, "3d_fullres", "all", "-m", method, "-p", TINY, "-np", 1]
    patients.run(*command, "-num_cases", 3, "-s", method)
    enter(patients, monkeypatch)
    part = SetPart(patients.dataset, method, "all")
    entries = part.manifest().accepted
    assert len(entries) == 3
    for entry in entries:
        sidecar, files = part.sidecar(entry.case), part.case_files(entry.case, ".nii.gz", len(MODALITIES))
        host = raw_cases(patients.dataset)[str(sidecar.host)]
        before, after = (
            np.stack([np.asanyarray(nibabel.load(path).dataobj) for path in images])  # type: ignore[attr-defined]
            for images in (host.images, files.images)
        )
        assert (before != after).any(axis=(1, 2, 3)).all()  # in each channel
        np.testing.assert_array_equal(before.any(axis=0), after.any(axis=0))
    trainer = f"TFEnrichedTrainer_{method}_1epochs"
    patients.run("nnUNetv2_train", 509, "3d_fullres", "all", "-tr", trainer, "-p", TINY, "-device", "cpu")
    folder = patients.results / f"{trainer}__{TINY}__3d_fullres" / "fold_all"
    assert (folder / "checkpoint_final.pth").exists()
