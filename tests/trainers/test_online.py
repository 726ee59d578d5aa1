"""TFOnlineTrainer as nnUNetv2_train makes it, on preprocessed stand-ins, cut down to a few steps."""

import csv
import errno
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from nnunetv2_tf.dataset.folds import fold_split
from nnunetv2_tf.io.files import write_json
from nnunetv2_tf.methods.syntumor import SynTumor
from nnunetv2_tf.online.case_pool import PooledCases
from nnunetv2_tf.online.draws import FILE
from nnunetv2_tf.online.online_dataset import MADE
from tests.scenes import Builder
from tests.trainers.test_baseline import run_epoch, same, stopped_after_an_epoch, trained, weights
from tests.trainers.test_configurations import add_lowres_and_cascade, with_regions
from tests.trainers.test_enriched import refused
from tests.workspace import TINY, Workspace, log_of

pytestmark = pytest.mark.slow

CARVEMIX = "TFOnlineTrainer_carvemix_seed1"
NAMES = [f"case_{index:03d}" for index in range(10)]
POOLED = "TFOnlineTrainer_syntumor_h601_seed1"


def folder_of(workspace: Workspace, name: str) -> Path:
    return workspace.results / f"{name}__{TINY}__3d_fullres" / "fold_0"


def test_it_trains_on_real_and_new_cases_of_the_folds_own(workspace: Workspace):
    trainer = workspace.trainer("TFOnlineTrainer_carvemix", num_iterations_per_epoch=10)
    trainer.run_training()
    folder, split = (
        folder_of(workspace, "TFOnlineTrainer_carvemix"),
        fold_split(workspace.dataset, 0, NAMES),
    )
    log = log_of(folder)
    assert "Real cases: 8 train, 2 validate." in log
    assert "new ones by carvemix (default), made where batches are made, making up 50 % of what is drawn" in log
    ((real, new, cases),) = re.findall(r"Drawn this epoch: (\d+) real .* (\d+) synthetic \((\d+) cases", log)
    assert int(real) + int(new) == 20
    assert int(new) == int(cases) > 0
    with open(folder / FILE, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == int(new)
    assert {name for row in rows for name in (row["host"], *row["donors"].split())} <= set(split.train)
    assert json.loads((folder / "tf_online.json").read_text(encoding="utf-8"))["percent"] == 50
    assert (folder / "tf_online_epoch_0000.png").read_bytes().startswith(b"\x89PNG")
    assert set(trainer.dataloader_val.data_loader.loader.indices) == set(split.val)
    checkpoint = torch.load(folder / "checkpoint_final.pth", weights_only=False)
    assert checkpoint["trainer_name"] == "nnUNetTrainer"


def batches(trainer: Any, number: int) -> list[dict[str, Any]]:
    trainer.on_train_start()
    try:
        return [next(trainer.dataloader_train) for _ in range(number)]
    finally:
        if hasattr(trainer.dataloader_train, "_finish"):
            for augmenter in (trainer.dataloader_train, trainer.dataloader_val):
                augmenter._finish()


@pytest.mark.parametrize("name", [CARVEMIX, "TFBaselineTrainer_seed1"])
def test_batches_are_the_same_from_any_number_of_workers(workspace: Workspace, monkeypatch, name):
    alone = batches(workspace.trainer(name), 6)
    for workers in ("1", "2"):
        monkeypatch.setenv("nnUNet_n_proc_DA", workers)
        others = batches(workspace.trainer(name), 6)
        for one, other in zip(alone, others, strict=True):
            assert torch.equal(one["data"], other["data"])
            assert all(torch.equal(*pair) for pair in zip(one["target"], other["target"], strict=True))
            assert one.get(MADE) == other.get(MADE)


@pytest.mark.parametrize("pooled", [False, True])
def test_a_continued_training_is_the_undisturbed_one(with_healthy: Workspace, monkeypatch, pooled):
    name = POOLED if pooled else CARVEMIX
    monkeypatch.setattr(SynTumor, "quick", not pooled)
    monkeypatch.setattr(PooledCases.__init__, "__defaults__", (6, 2))
    undisturbed = trained(with_healthy, name, num_epochs=3)
    rows = (folder_of(with_healthy, name) / FILE).read_bytes()
    stopped, checkpoint = stopped_after_an_epoch(with_healthy, name)
    run_epoch(stopped)  # whose rows are drawn again
    if stopped.keeper is not None:
        stopped.keeper.close(remove=False)
    continued = with_healthy.trainer(name, num_epochs=3, num_iterations_per_epoch=8, continue_training=True)
    continued.load_checkpoint(checkpoint)
    continued.run_training()
    assert same(undisturbed, weights(continued))
    assert (folder_of(with_healthy, name) / FILE).read_bytes() == rows


def test_a_pool_is_filled_renewed_and_removed(with_healthy: Workspace, monkeypatch):
    monkeypatch.setattr(SynTumor, "quick", False)
    monkeypatch.setattr(PooledCases.__init__, "__defaults__", (6, 2))
    monkeypatch.setenv("nnUNet_n_proc_DA", "2")  # workers wait for the next epoch's cases
    with_healthy.trainer(POOLED, num_epochs=3, num_iterations_per_epoch=4).run_training()
    log = log_of(folder_of(with_healthy, POOLED))
    assert "2 of 6 in " in log
    assert "Pool: 6 cases made, 0 found." in log
    assert log.count("Pool: 2 cases made anew (training ") == 2
    assert not list((with_healthy.dataset.preprocessed / "tf" / "online").rglob("*.case"))


def test_without_a_seed_a_continued_training_takes_the_one_it_drew(workspace: Workspace):
    name = "TFOnlineTrainer_carvemix"
    trained(workspace, name)
    continued = workspace.trainer(name, num_epochs=2, continue_training=True)
    continued.load_checkpoint(str(folder_of(workspace, name) / "checkpoint_final.pth"))
    seed = json.loads((folder_of(workspace, name) / "tf_online.json").read_text(encoding="utf-8"))["seed"]
    assert continued.seed_of_batches == seed != workspace.trainer(name).seed_of_batches


def test_a_finished_training_is_continued_without_new_cases(with_healthy: Workspace, monkeypatch):
    monkeypatch.setattr(SynTumor, "quick", False)
    monkeypatch.setattr(PooledCases.__init__, "__defaults__", (6, 2))
    trained(with_healthy, POOLED)
    continued = with_healthy.trainer(POOLED, continue_training=True)
    continued.load_checkpoint(str(folder_of(with_healthy, POOLED) / "checkpoint_final.pth"))
    continued.run_training()
    assert continued.keeper is None
    assert log_of(folder_of(with_healthy, POOLED)).count("Pool: 6 cases made") == 1


def test_a_full_disk_ends_it_with_a_sentence(with_healthy: Workspace, monkeypatch, capsys):
    monkeypatch.setattr(SynTumor, "quick", False)

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "full", "00000003.case")

    monkeypatch.setattr("nnunetv2_tf.online.case_pool.PoolKeeper.fill", full)
    sentence = refused(capsys, with_healthy.trainer(POOLED).run_training)
    assert "00000003.case: no space is left on this disk" in sentence


def test_shares(workspace: Workspace):
    for percent, low, high in ((10, 0.0, 0.3), (100, 1.0, 1.0)):
        drawn = batches(workspace.trainer(f"TFOnlineTrainer_carvemix_seed0_p{percent}"), 30)
        assert low <= sum(len(batch[MADE]) for batch in drawn) / (2 * 30) <= high


@pytest.mark.parametrize("ignore", [None, 4])
def test_regions_with_and_without_ignore_label(build_scene: Builder, monkeypatch, ignore):
    workspace, _ = with_regions(build_scene, monkeypatch, ignore)
    trainer = workspace.trainer("TFOnlineTrainer_carvemix_seed0_p100")
    trainer.run_training()
    batch = next(trainer.dataloader_train)
    assert len(batch[MADE]) == len(batch["data"])
    assert batch["target"][0].shape[1] == 3 + (ignore is not None)


def test_two_dimensions(workspace: Workspace):
    trainer = workspace.trainer("TFOnlineTrainer_tumorcp_seed0_p100", configuration="2d")
    trainer.run_training()
    batch = next(trainer.dataloader_train)
    assert batch["data"].ndim == 4
    assert len(batch[MADE]) == len(batch["data"])


def test_fold_all(workspace: Workspace):
    trainer = workspace.trainer("TFOnlineTrainer_carvemix_p100", fold="all")
    trainer.run_training()
    assert "(0 of 10 cases" in log_of(Path(trainer.output_folder))


def test_the_cascade_is_refused(workspace: Workspace, capsys):
    add_lowres_and_cascade(workspace)
    start = lambda: workspace.trainer("TFOnlineTrainer_carvemix", configuration="3d_cascade_fullres")  # noqa: E731
    assert "cannot train 3d_cascade_fullres" in refused(capsys, start)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("TFOnlineTrainer_syntumor", "syntumor puts tumours into healthy scans; name their dataset with -healthy. "),
        (
            "TFOnlineTrainer_carvemix_h601",
            "carvemix has real hosts, and leaves tumours as they are; leave -healthy out",
        ),
        ("TFOnlineTrainer_tf_aug_h601", "nnUNetv2_tf_fit 501 3d_fullres 0 -m tf_aug -healthy 601"),
        ("TFOnlineTrainer_syntumor_h602", "There is no dataset 602"),
        ("TFOnlineTrainer_carvemix_brief", "carvemix has no preset brief"),
    ],
)
def test_what_cannot_be_made_is_refused_before_the_first_step(with_healthy: Workspace, capsys, name, sentence):
    assert sentence in refused(capsys, with_healthy.trainer(name).get_tr_and_val_datasets)


def test_a_patient_on_both_sides_is_refused(workspace: Workspace, capsys):
    split = fold_split(workspace.dataset, 0, NAMES)
    write_json(workspace.dataset.raw / "groups.json", {split.train[0]: "P1", split.val[0]: "P1"})
    assert "which are one group" in refused(capsys, workspace.trainer(CARVEMIX).get_tr_and_val_datasets)


def test_it_does_not_go_on_with_other_cases(workspace: Workspace, capsys):
    trained(workspace, CARVEMIX)
    continued = workspace.trainer(CARVEMIX, num_epochs=2, continue_training=True)
    continued.load_checkpoint(str(folder_of(workspace, CARVEMIX) / "checkpoint_final.pth"))
    split = fold_split(workspace.dataset, 0, NAMES)
    write_json(workspace.dataset.raw / "groups.json", dict.fromkeys(split.train[:2], "P1"))
    capsys.readouterr()
    sentence = refused(capsys, continued.on_train_start)
    assert "began with other synthetic cases than its set holds now, or than are made now" in sentence


def test_where_no_case_can_be_made_training_ends_with_a_sentence(workspace: Workspace, monkeypatch, capsys):
    from nnunetv2_tf.online import case_source
    from nnunetv2_tf.synthesis.site_builder import UnusableLineError

    trainer = workspace.trainer("TFOnlineTrainer_carvemix_seed0_p100")
    trainer.on_train_start()

    def hopeless(*_: Any):
        raise UnusableLineError("it falls outside")

    monkeypatch.setattr(case_source, "made_case", hopeless)
    trainer.on_train_epoch_start()
    capsys.readouterr()
    sentence = refused(capsys, lambda: trainer.train_step(next(trainer.dataloader_train)))
    assert "No case of carvemix came of 20 lines of the recipe: it falls outside" in sentence
