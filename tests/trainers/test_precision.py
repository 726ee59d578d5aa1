"""`_bf16`: convolutions in bfloat16, on the CPU too; weights, loss and what is written stay float32."""

from pathlib import Path

import pytest
import torch

from tests.trainers.test_enriched import refused
from tests.workspace import Workspace


@pytest.mark.parametrize(("name", "inside"), [("_bf16", torch.bfloat16), ("", torch.float32)])
def test_what_is_computed_in_which_precision(workspace: Workspace, name, inside):
    trainer = workspace.trainer(f"TFBaselineTrainer_1epochs_seed0{name}")
    trainer.initialize()
    seen: dict[str, set[torch.dtype]] = {"convolutions": set(), "loss": set()}
    for module in trainer.network.modules():
        if isinstance(module, torch.nn.Conv3d):
            module.register_forward_hook(lambda _, __, output: seen["convolutions"].add(output.dtype))
    trainer.loss.register_forward_hook(lambda _, __, output: seen["loss"].add(output.dtype))
    trainer.run_training()
    assert seen == {"convolutions": {inside}, "loss": {torch.float32}}
    assert {value.dtype for value in trainer.network.state_dict().values()} == {torch.float32}


def test_the_loss_is_that_of_float32_nearly(workspace: Workspace):
    losses = []
    for name in ("", "_bf16"):
        trainer = workspace.trainer(f"TFBaselineTrainer_1epochs_seed0{name}")
        trainer.initialize()
        trainer.on_train_start()
        batch = next(trainer.dataloader_train)
        trainer.on_train_epoch_start()
        losses.append(float(trainer.train_step(batch)["loss"]))
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], abs=0.02)


def test_a_training_that_began_otherwise_is_not_continued(workspace: Workspace, capsys):
    """As when somebody copies its checkpoint into another folder."""
    began = workspace.trainer("TFBaselineTrainer_1epochs_seed0")
    began.run_training()
    trainer = workspace.trainer("TFBaselineTrainer_1epochs_seed0_bf16", num_epochs=2, continue_training=True)
    trainer.load_checkpoint(str(Path(began.output_folder) / "checkpoint_final.pth"))
    sentence = refused(capsys, trainer.on_train_start)
    assert "This training began with nnU-Net's own precision, and the trainer's name asks for bf16" in sentence
