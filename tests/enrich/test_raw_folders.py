"""From folders as they were downloaded to a trained model in one command, killed in three places."""

import shutil
from pathlib import Path

import pytest

from nnunetv2_tf.conversion.brats.labels import MODALITIES
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.standin.brains import Brains
from tests.conftest import enter
from tests.conversion.people import research
from tests.documentation.blocks import ADULTS, new_workspace, write_healthy
from tests.enrich.killing import killed_while
from tests.workspace import Workspace, write_test_plans

pytestmark = pytest.mark.exhaustive
RAW = ["Dataset501_BraTS23T1", "3d_fullres", "0", "-raw_brats", "BraTS2023-GLI", "-source", "2023-gli", "-healthy",
       "Dataset601_Healthy", "-raw_healthy", "IXI", "ds002748"]  # fmt: skip
WORDS = [*RAW, "-num_cases", "3", "-m", "tf_aug", "-tr", "TFBaselineTrainer_1epochs", "--train", "-device",
         "cpu", "-np", "1"]  # fmt: skip


def test_the_whole_way(tmp_path: Path):
    workspace = new_workspace(tmp_path, Brains(**ADULTS, channel_names=MODALITIES))
    write_healthy(tmp_path, research())
    said = workspace.run("nnUNetv2_tf_enrich", *WORDS, "--only_plan").stdout
    assert said.count("missing") == 9
    assert not any((tmp_path / "nnUNet_results").iterdir())
    killed_while(workspace, "nnUNetv2_tf_convert_brats", *WORDS)
    killed_while(workspace, "nnUNetv2_tf_preprocess_healthy", *WORDS)  # all before it is done
    with pytest.MonkeyPatch.context() as patch:  # a network for a CPU; the arrays do not depend on it
        enter(workspace, patch)
        write_test_plans(workspace.dataset, source="nnUNetPlans", name="nnUNetPlans")
    killed_while(workspace, "nnUNetv2_tf_synthesize", *WORDS)
    said = workspace.run("nnUNetv2_tf_enrich", *WORDS, nnUNet_n_proc_DA="0").stdout
    assert "Trained: TFEnrichedTrainer_tfaug3_1epochs" in said
    folder = workspace.results / "TFEnrichedTrainer_tfaug3_1epochs__nnUNetPlans__3d_fullres" / "fold_0"
    assert (folder / "validation" / "summary.json").exists()
    assert "Nothing is left to do." in workspace.run("nnUNetv2_tf_enrich", *WORDS).stdout
    check_new_people(workspace)


def check_new_people(workspace: Workspace) -> None:
    """Healthy scans that come later are named with all that came of the others; patients that do cannot be added."""
    with pytest.MonkeyPatch.context() as patch:
        enter(workspace, patch)
        before = SetPart(workspace.dataset, "tfaug3", 0).manifest()
    first = workspace.root / "IXI" / "IXI000-Guys-0828-T1.nii.gz"
    shutil.copy(first, first.with_name("IXI777-Guys-0828-T1.nii.gz"))
    said = workspace.run("nnUNetv2_tf_enrich", *WORDS, expect=2)
    assert "Since it was done has changed: the files of -raw_healthy." in said.stderr
    assert "fit tf_aug in fold 0; make 3 cases in fold 0" in said.stderr
    with pytest.MonkeyPatch.context() as patch:
        enter(workspace, patch)
        assert SetPart(workspace.dataset, "tfaug3", 0).manifest() == before
    (case, *_) = sorted((workspace.root / "BraTS2023-GLI").iterdir())
    shutil.copytree(case, case.with_name("BraTS-GLI-00999-000"))
    said = workspace.run("nnUNetv2_tf_enrich", *WORDS, "--redo", expect=2)
    assert "leave -raw_brats out to go on with Dataset501_BraTS23T1 as it is" in said.stderr
