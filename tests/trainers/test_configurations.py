"""The trainers change nothing about what nnU-Net can do: regions, ignore label, 2d, lowres, ResEnc, cascade."""

import pytest

from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.sets import manage
from nnunetv2_tf.standin.brains import REGIONS, Brains
from nnunetv2_tf.working_space.preprocess import preprocess_cases
from tests.conftest import enter
from tests.scenes import Builder, Scene
from tests.trainers.test_enriched import refused
from tests.workspace import TINY, Workspace, add_set, write_test_plans

pytestmark = pytest.mark.slow


def train(workspace: Workspace, configuration: str = "3d_fullres", plans: str = TINY):
    """One step of each kind with a set, and the final validation's network settings."""
    trainer = workspace.trainer("TFEnrichedTrainer_demo_seed0", configuration=configuration, plans=plans)
    trainer.run_training()
    assert (
        workspace.results / f"TFEnrichedTrainer_demo_seed0__{plans}__{configuration}" / "fold_0" / "progress.png"
    ).exists()
    return trainer


def with_regions(build_scene: Builder, monkeypatch: pytest.MonkeyPatch, ignore: int | None) -> tuple[Workspace, Brains]:
    """A workspace of two channels whose labels are regions, with the environment set to it, and whose brains it has."""
    brains = Brains(shape=(24, 30, 28), channel_names=("t1n", "t2f"), labels=REGIONS, ignore=ignore)
    workspace = build_scene(Scene(brains)).workspace
    enter(workspace, monkeypatch)
    write_test_plans(workspace.dataset)
    return workspace, brains


@pytest.mark.parametrize("ignore", [None, 4])
def test_regions_with_and_without_ignore_label(build_scene: Builder, monkeypatch, ignore):
    workspace, brains = with_regions(build_scene, monkeypatch, ignore)
    folder = workspace.root / "foreign"
    brains.write_cases(folder, ["synthetic_0000"], seed=5)
    manage.add(manage.AddRequest(workspace.id, folder, "demo", (0,), None, ("3d_fullres",), TINY, 1))
    trainer = train(workspace)
    assert trainer.label_manager.has_regions
    assert trainer.label_manager.has_ignore_label is (ignore is not None)
    batch = next(trainer.dataloader_train)
    assert batch["data"].shape[1] == 2
    assert batch["target"][0].shape[1] == 3 + (ignore is not None)


@pytest.mark.exhaustive
def test_residual_encoder_plans(workspace: Workspace):
    workspace.run("nnUNetv2_plan_experiment", "-d", 501, "-pl", "nnUNetPlannerResEncM", nnUNet_n_proc_DA="1")
    write_test_plans(workspace.dataset, "nnUNetResEncUNetMPlans", "nnUNetResEncUNetTinyPlans")
    add_set(workspace, "demo", plans="nnUNetResEncUNetTinyPlans")
    trainer = train(workspace, plans="nnUNetResEncUNetTinyPlans")
    assert type(trainer.network).__name__ == "ResidualEncoderUNet"


def test_two_dimensions(workspace: Workspace):
    add_set(workspace, "demo", configurations=["2d"])
    assert next(train(workspace, "2d").dataloader_train)["data"].ndim == 4


def add_lowres_and_cascade(workspace: Workspace) -> None:
    """As nnU-Net plans them for larger images."""
    path = workspace.dataset.preprocessed / f"{TINY}.json"
    plans = read_json(path, "")
    configurations = plans["configurations"]
    lowres = {**configurations["3d_fullres"], "spacing": [2.0, 2.0, 2.0], "data_identifier": "nnUNetPlans_3d_lowres"}
    configurations["3d_lowres"] = {**lowres, "next_stage": "3d_cascade_fullres", "patch_size": [16, 16, 16]}
    configurations["3d_cascade_fullres"] = {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"}
    write_json(path, plans)


def test_lowres(workspace: Workspace):
    add_lowres_and_cascade(workspace)
    folder = workspace.dataset.preprocessed / "nnUNetPlans_3d_lowres"
    list(preprocess_cases(workspace.plan("3d_lowres"), list(raw_cases(workspace.dataset).values()), folder, 1))
    add_set(workspace, "demo", configurations=["3d_lowres"])
    train(workspace, "3d_lowres")


def test_the_cascade_is_refused_before_anything_is_written(workspace: Workspace, capsys):
    add_lowres_and_cascade(workspace)
    sentence = refused(capsys, lambda: workspace.trainer("TFEnrichedTrainer_demo", configuration="3d_cascade_fullres"))
    assert "cannot train 3d_cascade_fullres: synthetic cases have no predictions of its previous stage" in sentence
    assert not workspace.results.exists()
    add_set(workspace, "demo")
    with pytest.raises(UserError, match="needs predictions of its previous stage"):
        manage.preprocess(manage.PreprocessRequest("501", "demo", (0,), ("3d_cascade_fullres",), TINY, 1))
