"""TFMixupTrainer as nnUNetv2_train makes it, on preprocessed stand-ins, cut down to a few steps."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunetv2_tf.io.files import write_json
from nnunetv2_tf.training.mixup import blended
from tests.scenes import Builder
from tests.trainers.test_baseline import same, stopped_after_an_epoch, trained, weights
from tests.trainers.test_configurations import with_regions
from tests.trainers.test_enriched import refused
from tests.workspace import Workspace, log_of

pytestmark = pytest.mark.slow
NAME = "TFMixupTrainer_seed1"


def begun(workspace: Workspace, name: str = NAME):
    trainer = workspace.trainer(name)
    trainer.on_train_start()
    trainer.on_train_epoch_start()
    return trainer


def test_a_step_is_nnunets_with_a_blended_batch_and_both_targets(workspace: Workspace, monkeypatch):
    trainer, seen, share = begun(workspace), {}, 0.3

    def step(self, batch: dict) -> dict:
        output = [4.0 * torch.nn.functional.one_hot(level[:, 0].long(), 4).movedim(-1, 1) for level in batch["target"]]
        seen.update(images=batch["data"], output=output, loss=self.loss(output, batch["target"]))
        return {}

    monkeypatch.setattr(nnUNetTrainer, "train_step", step)
    monkeypatch.setattr(trainer, "shares", SimpleNamespace(beta=lambda a, b: share))
    batch = next(trainer.dataloader_train)
    given = batch["data"].clone()
    drawn = trainer.train_step(batch)["drawn"]
    assert [draw.case for draw in drawn] == list(batch["keys"])
    torch.testing.assert_close(seen["images"], share * given + (1 - share) * given[[1, 0]])
    torch.testing.assert_close(batch["data"], given)
    plain, swapped = trainer.loss.loss, [level[[1, 0]] for level in batch["target"]]
    losses = [plain(seen["output"], target) for target in (batch["target"], swapped)]
    assert losses[1] > losses[0] + 0.1
    torch.testing.assert_close(seen["loss"], share * losses[0] + (1 - share) * losses[1])


def test_validation_is_not_blended(workspace: Workspace):
    trainer = begun(workspace)
    trainer.train_step(next(trainer.dataloader_train))
    trainer.network.eval()
    batch = next(trainer.dataloader_val)
    with torch.no_grad():
        loss = trainer.validation_step(batch)["loss"]
        expected = trainer.loss.loss(trainer.network(batch["data"]), batch["target"])
    assert loss == pytest.approx(float(expected), abs=1e-5)


def test_shares_come_of_beta(workspace: Workspace, monkeypatch):
    """Beta(0.2, 0.2) has mean 1/2 and variance 1 / (4 * 1.4)."""
    trainer, shares = begun(workspace), []
    monkeypatch.setattr(type(trainer).__mro__[2], "step", lambda self, _: shares.append(self.loss.share))
    batch = next(trainer.dataloader_train)
    for _ in range(2000):
        trainer.step(batch)
    drawn = torch.tensor(shares)
    assert float(drawn.mean()) == pytest.approx(0.5, abs=0.04)
    assert float(drawn.var()) == pytest.approx(1 / 5.6, abs=0.02)


def test_same_seed_same_weights_also_continued(workspace: Workspace):
    undisturbed = trained(workspace, NAME, num_epochs=3)
    _, checkpoint = stopped_after_an_epoch(workspace, NAME)
    continued = workspace.trainer(NAME, num_epochs=3, num_iterations_per_epoch=8, continue_training=True)
    continued.load_checkpoint(checkpoint)
    continued.run_training()
    assert same(undisturbed, weights(continued))
    assert not same(undisturbed, trained(workspace, "TFBaselineTrainer_seed1", num_epochs=3))
    assert "Mixup: patches are blended with others of their batch, by Beta(0.2, 0.2)." in log_of(
        Path(continued.output_folder)
    )


def test_one_batch_is_learnt(workspace: Workspace):
    trainer = begun(workspace)
    batch = next(trainer.dataloader_train)
    losses = [float(trainer.train_step(batch)["loss"]) for _ in range(30)]
    assert sum(losses[-5:]) < sum(losses[:5]) - 1


def test_in_two_dimensions_in_bfloat16_and_without_a_seed(workspace: Workspace):
    """nnU-Net takes the Dice of such a batch together."""
    trainer = workspace.trainer("TFMixupTrainer_bf16", configuration="2d")
    trainer.run_training()
    assert trainer.configuration_manager.batch_dice
    assert all(torch.isfinite(value).all() for value in weights(trainer).values())


def test_regions_with_an_ignore_label(build_scene: Builder, monkeypatch):
    workspace, _ = with_regions(build_scene, monkeypatch, 4)
    trainer = begun(workspace)
    batch, share = next(trainer.dataloader_train), 0.4
    with torch.no_grad():
        output = trainer.network(blended(batch["data"], share))
        own, of_next = (trainer.loss.loss(output, [level[at] for level in batch["target"]]) for at in ([0, 1], [1, 0]))
        with trainer.loss.mixing(share):
            found = trainer.loss(output, batch["target"])
    torch.testing.assert_close(found, share * own + (1 - share) * of_next)


def test_batches_of_one_are_refused(workspace: Workspace, capsys):
    plans = {**workspace.plan().plans, "plans_name": "nnUNetPlansSingle"}
    plans["configurations"]["3d_fullres"]["batch_size"] = 1
    write_json(workspace.dataset.preprocessed / "nnUNetPlansSingle.json", plans)
    trainer = workspace.trainer("TFMixupTrainer", plans="nnUNetPlansSingle")
    sentence = refused(capsys, trainer.on_train_start)
    assert "the 1 of nnUNetPlansSingle 3d_fullres are too few for 1 device; plan larger batches" in sentence
