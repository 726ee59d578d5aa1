"""TFBaselineTrainer: nnU-Net with seeds, epochs and a portable checkpoint."""

import importlib
import pickle
from pathlib import Path

import pytest
import torch

from nnunetv2_tf.dataset.code_version import CodeVersion, read_code_versions
from tests.workspace import TINY, Workspace, add_set, log_of

pytestmark = pytest.mark.slow

trainers = importlib.import_module("nnunetv2_tf.trainers")


def weights(trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.network.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


def trained(workspace: Workspace, name: str, **settings) -> dict[str, torch.Tensor]:
    trainer = workspace.trainer(name, **{"num_iterations_per_epoch": 8, **settings})
    trainer.run_training()
    return weights(trainer)


@pytest.mark.parametrize("base", ["TFBaselineTrainer", "TFEnrichedTrainer_demo"])
def test_same_seed_same_weights_bit_for_bit(enriched: Workspace, base):
    one, again, other = (trained(enriched, f"{base}_seed{seed}") for seed in (1, 1, 2))
    assert same(one, again)
    assert not same(one, other)


def test_a_finished_training_that_is_continued_keeps_its_checkpoint(workspace: Workspace):
    """By its bytes fits and sets know their baseline, and nnU-Net saves again where --c has only to validate."""
    trained(workspace, "TFBaselineTrainer_seed1", num_epochs=2)
    again = workspace.trainer("TFBaselineTrainer_seed1", num_epochs=2, continue_training=True)
    path = Path(again.output_folder) / "checkpoint_final.pth"
    before = path.read_bytes(), path.stat().st_mtime_ns
    again.load_checkpoint(str(path))
    again.run_training()
    assert path.read_bytes() == before[0]
    assert path.stat().st_mtime_ns != before[1]


def test_without_a_seed_trainings_differ(workspace: Workspace):
    assert not same(trained(workspace, "TFBaselineTrainer"), trained(workspace, "TFBaselineTrainer"))


def test_a_continued_seeded_training_is_the_undisturbed_one(workspace: Workspace):
    name = "TFBaselineTrainer_seed1"
    undisturbed = trained(workspace, name, num_epochs=3)
    _, checkpoint = stopped_after_an_epoch(workspace, name)
    continued = workspace.trainer(name, num_epochs=3, num_iterations_per_epoch=8, continue_training=True)
    continued.load_checkpoint(checkpoint)
    assert continued.current_epoch == 1
    continued.run_training()
    assert same(undisturbed, weights(continued))


def stopped_after_an_epoch(workspace: Workspace, name: str):
    """A training of three epochs after its first one, and the checkpoint that it wrote then."""
    trainer = workspace.trainer(name, num_epochs=3, num_iterations_per_epoch=8)
    trainer.on_train_start()
    run_epoch(trainer)
    checkpoint = str(workspace.root / "checkpoint_latest.pth")
    trainer.current_epoch -= 1  # as on_epoch_end has it when it saves
    trainer.save_checkpoint(checkpoint)
    trainer.current_epoch += 1
    return trainer, checkpoint


def run_epoch(trainer) -> None:
    trainer.on_epoch_start()
    trainer.on_train_epoch_start()
    steps = [trainer.train_step(next(trainer.dataloader_train)) for _ in range(trainer.num_iterations_per_epoch)]
    trainer.on_train_epoch_end(steps)
    with torch.no_grad():
        trainer.on_validation_epoch_start()
        steps = [
            trainer.validation_step(next(trainer.dataloader_val)) for _ in range(trainer.num_val_iterations_per_epoch)
        ]
        trainer.on_validation_epoch_end(steps)
    trainer.on_epoch_end()


def test_epochs_come_from_the_name(workspace: Workspace):
    from nnunetv2.run.run_training import get_trainer_from_args

    stock = get_trainer_from_args("501", "3d_fullres", 0, "nnUNetTrainer", TINY, device=torch.device("cpu"))
    for name, epochs, save_every in (
        ("TFBaselineTrainer_7epochs", 7, 1),
        ("TFBaselineTrainer_100epochs", 100, 5),
        ("TFBaselineTrainer_2000epochs", 2000, stock.save_every),
        ("TFBaselineTrainer", stock.num_epochs, stock.save_every),
    ):
        trainer = get_trainer_from_args("501", "3d_fullres", 0, name, TINY, device=torch.device("cpu"))
        assert (trainer.num_epochs, trainer.save_every) == (epochs, save_every)


def test_a_short_training_can_be_continued_from_where_it_was(workspace: Workspace):
    """nnU-Net's own loop saves every 50 epochs, which a training of three never reaches."""
    trainer = workspace.trainer("TFBaselineTrainer_3epochs", num_epochs=3)
    trainer._best_ema = 2.0  # no epoch is better, so nothing else is saved
    trainer.on_train_start()
    for epoch in (1, 2):
        run_epoch(trainer)
        checkpoint = torch.load(Path(trainer.output_folder) / "checkpoint_latest.pth", weights_only=False)
        assert checkpoint["current_epoch"] == epoch


def test_the_checkpoint_is_nnunets_own_under_its_own_name(workspace: Workspace):
    """Same keys and same types as stock nnU-Net writes; whole or not at all."""
    checkpoints = []
    for name in ("nnUNetTrainer", "TFBaselineTrainer"):
        trainer = workspace.trainer(name)
        trainer.initialize()
        path = workspace.root / f"{name}.pth"
        trainer.save_checkpoint(str(path))
        checkpoints.append(torch.load(path, weights_only=False))
    stock, ours = checkpoints
    assert (ours.pop("tf_training"), ours.pop("tf_code")) == (None, [])  # no training yet
    assert {key: type(value) for key, value in stock.items()} == {key: type(value) for key, value in ours.items()}
    assert list(stock["network_weights"]) == list(ours["network_weights"])
    assert stock["trainer_name"] == ours["trainer_name"] == "nnUNetTrainer"
    assert not list(workspace.root.glob("*.tmp"))
    trainer.disable_checkpointing = True
    trainer.save_checkpoint(str(workspace.root / "none.pth"))
    assert not (workspace.root / "none.pth").exists()


def test_a_finished_model_carries_all_code_that_trained_it(workspace: Workspace, monkeypatch):
    first, second = CodeVersion("1", "a" * 40, ()), CodeVersion("1", "b" * 40, ())
    module = importlib.import_module("nnunetv2_tf.trainers.TFBaselineTrainer")
    monkeypatch.setattr(module, "code_version", lambda: first)
    trainer = workspace.trainer("TFBaselineTrainer", num_epochs=2)
    folder = Path(trainer.output_folder)
    trainer.run_training()
    assert read_code_versions(folder) == [first]
    started_anew = workspace.trainer("TFBaselineTrainer", num_epochs=2)
    started_anew.on_train_start()
    assert read_code_versions(folder) == []  # the old checkpoint's days are numbered
    run_epoch(started_anew)
    started_anew.current_epoch -= 1
    started_anew.save_checkpoint(str(folder / "checkpoint_latest.pth"))
    monkeypatch.setattr(module, "code_version", lambda: second)
    continued = workspace.trainer("TFBaselineTrainer", num_epochs=2, continue_training=True)
    continued.load_checkpoint(str(folder / "checkpoint_latest.pth"))
    continued.run_training()
    assert read_code_versions(folder) == [first, second]


def test_a_cpu_training_takes_no_more_threads_than_it_may(workspace: Workspace, monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    try:
        workspace.trainer("TFBaselineTrainer").initialize()
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("name", ["TFBaselineTrainer_seed3", "TFEnrichedTrainer_tf100_n50_p50"])
def test_classes_can_be_pickled(name):
    """nnU-Net spawns processes; a class made from a name must be found there again."""
    made = trainers.trainer_class(name)
    pickled = pickle.dumps(made)
    assert pickle.loads(pickled) is made
    del trainers.__dict__[name]  # as in a process that never heard of it
    again = pickle.loads(pickled)
    assert again is not made
    assert (again.__name__, again.options, again.__mro__[1:]) == (name, made.options, made.__mro__[1:])


def test_other_names_are_declined_and_wrong_ones_explained(capsys):
    with pytest.raises(AttributeError):
        trainers.trainer_class("nnUNetTrainerOfSomebodyElse")
    with pytest.raises(SystemExit) as caught:
        trainers.trainer_class("TFEnrichedTrainer_seed1_n50")
    assert caught.value.code == 2
    assert "use -tr TFEnrichedTrainer_n50_seed1" in capsys.readouterr().err


def test_with_augmentation_workers(workspace: Workspace, monkeypatch):
    monkeypatch.setenv("nnUNet_n_proc_DA", "2")
    add_set(workspace, "demo")
    trainer = workspace.trainer("TFEnrichedTrainer_demo", num_iterations_per_epoch=5)
    trainer.run_training()
    assert "Drawn this epoch:" in log_of(Path(trainer.output_folder))
