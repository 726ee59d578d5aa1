"""The whole way by nnU-Net's own commands: two folds under one name, predict, share, compare, accumulate."""

import json
from pathlib import Path
from typing import Any

import pytest
import SimpleITK as sitk

from nnunetv2_tf.sets import manage
from tests.environments import Environment
from tests.workspace import QUIET, TINY, Workspace, add_set, log_of

pytestmark = pytest.mark.slow

BASELINE, ENRICHED = "TFBaselineTrainer_1epochs", "TFEnrichedTrainer_demo_1epochs"


def test_from_training_to_sharing(enriched: Workspace, tmp_path):
    """--val needs no set, --c does."""
    workspace = enriched
    workspace.trainer(ENRICHED, num_iterations_per_epoch=60).run_training()  # draws every case
    manage.remove(manage.RemoveRequest("501", "demo", None))
    train(workspace, ENRICHED, 0, "--val")
    refused = workspace.run(*command(ENRICHED, 0), "--c", expect=2)
    assert "There is no set demo for fold 0" in refused.stdout
    assert "Traceback" not in refused.stderr
    predictions = predict(workspace, ENRICHED, tmp_path / "predicted", "-f", 0, "-p", TINY)
    shared_without_the_plugin(workspace, tmp_path, predictions)


@pytest.mark.exhaustive
def test_two_folds_of_two_trainers_are_compared_and_accumulated(workspace: Workspace, tmp_path):
    for fold in (0, 1):
        add_set(workspace, "demo", fold)
    for trainer in (BASELINE, ENRICHED):
        for fold in (0, 1):
            train(workspace, trainer, fold, "--npz")
    folds = ["-f", 0, 1, "-p", TINY]
    assert len(predict(workspace, ENRICHED, tmp_path / "predicted", *folds)) == 2
    compare(workspace, folds)
    workspace.run("nnUNetv2_accumulate_crossval_results", 501, "-c", "3d_fullres", "-tr", ENRICHED, *folds)
    merged = model(workspace, ENRICHED) / "crossval_results_folds_0_1" / "summary.json"
    assert len(json.loads(merged.read_text(encoding="utf-8"))["metric_per_case"]) == 4


def command(trainer: str, fold: int) -> list[object]:
    return ["nnUNetv2_train", 501, "3d_fullres", fold, "-tr", trainer, "-p", TINY, "-device", "cpu"]


def train(workspace: Workspace, trainer: str, fold: int, *options: str) -> None:
    """Runs nnUNetv2_train; afterwards real cases only are validated, whatever was trained with."""
    workspace.run(*command(trainer, fold), *options)
    folder = model(workspace, trainer) / f"fold_{fold}"
    validated = json.loads((folder / "validation" / "summary.json").read_text(encoding="utf-8"))["metric_per_case"]
    splits = json.loads((workspace.dataset.preprocessed / "splits_final.json").read_text(encoding="utf-8"))
    names = sorted(case["prediction_file"].split("/")[-1].removesuffix(".nii.gz") for case in validated)
    assert names == splits[fold]["val"]  # real cases only
    assert ("4 of 4 cases" in log_of(folder)) is (trainer == ENRICHED)


def model(workspace: Workspace, trainer: str):
    return workspace.results / f"{trainer}__{TINY}__3d_fullres"


def predict(workspace: Workspace, trainer: str, output, *options: object) -> dict[str, bytes]:
    inputs = workspace.root / "inputs"
    inputs.mkdir()
    for index in (0, 5):
        name = f"case_{index:03d}_0000.nii.gz"
        (inputs / name).symlink_to(workspace.dataset.raw / "imagesTr" / name)
    arguments = ["-i", inputs, "-o", output, "-d", 501, "-c", "3d_fullres", "-tr", trainer, *options]
    workspace.run("nnUNetv2_predict", *arguments, "-device", "cpu", "--disable_tta", "-npp", 0, "-nps", 0)
    return voxels(output)


def voxels(folder) -> dict[str, bytes]:
    return {path.name: sitk.GetArrayFromImage(sitk.ReadImage(str(path))).tobytes() for path in folder.glob("*.nii.gz")}


def shared_without_the_plugin(workspace: Workspace, tmp_path, predictions: dict[str, bytes]) -> None:
    """Export as zip, install and predict where this package is not installed."""
    archive = tmp_path / "model.zip"
    options = ["-c", "3d_fullres", "-tr", ENRICHED, "-p", TINY, "-f", 0]
    workspace.run("nnUNetv2_export_model_to_zip", "-d", 501, "-o", archive, *options)
    elsewhere = Environment.make(tmp_path / "elsewhere_root")
    elsewhere.install_nnunet()
    elsewhere.run("python", "-c", "import nnunetv2_tf", expect=1)
    places: dict[str, Any] = {**elsewhere.places(), **QUIET}
    elsewhere.run("nnUNetv2_install_pretrained_model_from_zip", archive, **places)
    installed = Path(places["nnUNet_results"]) / workspace.dataset.name / model(workspace, ENRICHED).name
    assert {path.name for path in installed.glob("fold_*")} == {"fold_0"}
    output = tmp_path / "predicted_elsewhere"
    arguments = ["-i", workspace.root / "inputs", "-o", output, "-d", 501, *options, "-device", "cpu", "--disable_tta"]
    elsewhere.run("nnUNetv2_predict", *arguments, "-npp", 0, "-nps", 0, **places)
    assert voxels(output) == predictions


def compare(workspace: Workspace, folds: list[object]) -> None:
    """Baseline and enriched trainer in one call."""
    options = ["-c", "3d_fullres", "-tr", BASELINE, ENRICHED, *folds, "-np", 1]
    output = workspace.run("nnUNetv2_find_best_configuration", 501, *options).stdout
    for trainer in (BASELINE, ENRICHED):
        assert f"{trainer}__{TINY}__3d_fullres: " in output
    assert "Run inference like this" in output


@pytest.mark.exhaustive
def test_continuing_a_finished_training_validates_again(enriched: Workspace):
    workspace = enriched
    workspace.trainer(ENRICHED, num_iterations_per_epoch=60).run_training()  # draws every case
    train(workspace, ENRICHED, 0, "--c")


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("trainer", "sentence"),
    [
        ("TFEnrichedTrainer_seed1_n50", "use -tr TFEnrichedTrainer_n50_seed1"),
        ("TFEnrichedTrainer", "needs exactly one set for fold 0, and there is: none"),
    ],
)
def test_what_is_wrong_ends_with_one_sentence(workspace: Workspace, trainer, sentence):
    done = workspace.run(*command(trainer, 0), expect=2)
    assert sentence in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
