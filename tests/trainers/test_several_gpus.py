"""Trainings that several processes share, as `nnUNetv2_train -num_gpus 2` has them, here on the CPU.

What starts them in nnU-Net asks for GPUs, and its trainer names one where it wraps the network; the rest is nnU-Net's.
"""

import csv
import importlib
from collections.abc import Iterable
from typing import Any

import pytest
import torch

from nnunetv2_tf.io.files import write_json
from nnunetv2_tf.methods.syntumor import SynTumor
from nnunetv2_tf.online.case_pool import PooledCases
from nnunetv2_tf.online.draws import FILE
from nnunetv2_tf.training.distributed import joined, launch
from tests.trainers.test_baseline import run_epoch, same
from tests.trainers.test_online import folder_of
from tests.workspace import Workspace, log_of

pytestmark = pytest.mark.slow

CPU, STEPS, EPOCHS = torch.device("cpu"), 4, 2
QUICK, POOLED = "TFOnlineTrainer_carvemix_seed1", "TFOnlineTrainer_syntumor_h601_seed1"
SET = "TFEnrichedTrainer_demo_seed1"
FOUR = "nnUNetPlansFour"  # plans with batches of four patches, two for each process


def member(workspace: Workspace, name: str, checkpoint: str | None, epochs: int) -> int:
    """One of the two; saves what it saw."""
    with joined(CPU) as (team, _):
        SynTumor.quick = name != POOLED
        waited = with_a_small_pool()
        trainer = shared_trainer(workspace, name, num_epochs=EPOCHS, continue_training=checkpoint is not None)
        if checkpoint is not None:
            trainer.load_checkpoint(checkpoint)
        drawn = watched(trainer)
        trainer.on_train_start()
        while trainer.current_epoch < epochs:
            run_epoch(trainer)
        if trainer.current_epoch == EPOCHS:
            trainer.on_train_end()
        elif team.is_main:
            trainer.current_epoch -= 1  # as on_epoch_end has it when it saves
            trainer.save_checkpoint(str(workspace.root / "stopped.pth"))
        save(workspace, team.rank, trainer, drawn=drawn, waited=waited, seed=trainer.seed_of_batches)
    return 0


def shared_trainer(workspace: Workspace, name: str, **settings: Any) -> Any:
    """A trainer of one of the two processes, on the CPU."""
    torch.set_num_threads(1)
    nnunet: Any = importlib.import_module("nnunetv2.training.nnUNetTrainer.nnUNetTrainer")
    wrapped = nnunet.DDP
    nnunet.DDP = lambda network, device_ids: wrapped(network)
    trainer = workspace.trainer(name, num_iterations_per_epoch=STEPS, **settings)
    trainer.device, trainer.grad_scaler = CPU, None
    return trainer


def save(workspace: Workspace, rank: int, trainer: Any, **seen: Any) -> None:
    """Saves what a process saw, for the test to read."""
    weights = {key: value.clone() for key, value in trainer.network.module.state_dict().items()}
    found = {"size": trainer.batch_size, "weights": weights, **seen}
    torch.save(found, workspace.root / f"rank_{rank}.pth")


def saved(workspace: Workspace) -> list[dict[str, Any]]:
    """What each of the two processes saw."""
    return [torch.load(workspace.root / f"rank_{rank}.pth", weights_only=False) for rank in range(2)]


def with_a_small_pool() -> list[list[int]]:
    """Makes pools of six cases, two of them new in an epoch; returns the lines that are waited for from now on."""
    pool: Any = PooledCases
    pool.__init__.__defaults__ = (6, 2)
    waited, wait = list[list[int]](), pool.wait_for_all

    def wait_for_all(cases: PooledCases, lines: Iterable[int]) -> None:
        waited.append(list(lines))
        wait(cases, waited[-1])

    pool.wait_for_all = wait_for_all
    return waited


def watched(trainer: Any) -> list[tuple[int, str, str]]:
    """Of each patch that is drawn from now on its epoch, case and host."""
    drawn, of_batch = list[tuple[int, str, str]](), trainer.drawn

    def drawing(batch: dict, target: Any) -> Any:
        found = of_batch(batch, target)
        drawn.extend((trainer.current_epoch, one.case, one.host) for one in found)
        return found

    trainer.drawn = drawing
    return drawn


def trained(
    workspace: Workspace, name: str, checkpoint: str | None = None, epochs: int = EPOCHS
) -> list[dict[str, Any]]:
    """What each of two processes saw."""
    assert launch(2, member, workspace, name, checkpoint, epochs) == 0
    return saved(workspace)


def check_shared(workspace: Workspace, name: str, seen: list[dict[str, Any]]) -> str:
    """One network, one batch in two parts, one log, which is returned."""
    assert same(seen[0]["weights"], seen[1]["weights"])
    assert [one["size"] for one in seen] == [1, 1]
    assert [len(one["drawn"]) for one in seen] == [EPOCHS * STEPS] * 2
    (path,) = folder_of(workspace, name).glob("training_log_*.txt")
    log = path.read_text(encoding="utf-8")
    assert log.count("Drawn this epoch: ") == EPOCHS
    return log


def rows_of(workspace: Workspace, name: str) -> list[tuple[int, str, str]]:
    with open(folder_of(workspace, name) / FILE, newline="", encoding="utf-8") as file:
        return [(int(row["epoch"]), row["case"], row["host"]) for row in csv.DictReader(file)]


def new_ones(seen: list[dict[str, Any]]) -> list[tuple[int, str, str]]:
    return [one for of_one in seen for one in of_one["drawn"] if one[2]]


@pytest.mark.exhaustive
def test_a_set(enriched: Workspace):
    seen = trained(enriched, SET)
    check_shared(enriched, SET, seen)
    assert seen[0]["drawn"] != seen[1]["drawn"]


def test_a_pool_is_made_by_one_and_waited_for_by_the_other(with_healthy: Workspace):
    seen = trained(with_healthy, POOLED)
    log = check_shared(with_healthy, POOLED, seen)
    assert log.count("Pool: 6 cases made, 0 found.") == log.count("Pool: 2 cases made anew (training ") == 1
    assert [one["waited"] for one in seen] == [[], [[0, 1, 2, 3, 4, 5], [6, 7]]]
    assert sorted(rows_of(with_healthy, POOLED)) == sorted(new_ones(seen)) != []
    assert not list((with_healthy.dataset.preprocessed / "tf" / "online").rglob("*"))


@pytest.mark.exhaustive
def test_new_cases_are_nobody_elses_and_go_on_after_a_stop(workspace: Workspace):
    seen = trained(workspace, QUICK)
    check_shared(workspace, QUICK, seen)
    rows, made = rows_of(workspace, QUICK), [case for _, case, _ in new_ones(seen)]
    assert sorted(rows) == sorted(new_ones(seen))
    assert len(set(made)) == len(made) > 0
    trained(workspace, QUICK, epochs=1)
    continued = trained(workspace, QUICK, str(workspace.root / "stopped.pth"))
    assert all(same(one["weights"], other["weights"]) for one, other in zip(seen, continued, strict=True))
    assert rows_of(workspace, QUICK) == rows
    assert log_of(folder_of(workspace, QUICK)).count("Drawn this epoch: ") == 2 * EPOCHS


def mixing_member(workspace: Workspace, name: str) -> int:
    """One of the two; saves by which shares it blended."""
    with joined(CPU) as (team, _):
        trainer = shared_trainer(workspace, name, plans=FOUR)
        trainer.on_train_start()
        shares, mixing = list[float](), trainer.loss.mixing

        def watched_mixing(share: float) -> Any:
            shares.append(share)
            return mixing(share)

        trainer.loss.mixing = watched_mixing
        run_epoch(trainer)
        save(workspace, team.rank, trainer, shares=shares)
    return 0


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["TFMixupTrainer_seed1", "TFMixupTrainer"])
def test_all_blend_by_the_same_shares(workspace: Workspace, name):
    plans = {**workspace.plan().plans, "plans_name": FOUR}
    plans["configurations"]["3d_fullres"].update(batch_size=4, batch_dice=True)
    write_json(workspace.dataset.preprocessed / f"{FOUR}.json", plans)
    assert launch(2, mixing_member, workspace, name) == 0
    first, second = saved(workspace)
    assert first["size"] == second["size"] == 2
    assert first["shares"] == second["shares"]
    assert len(set(first["shares"])) == STEPS
    assert same(first["weights"], second["weights"])


@pytest.mark.exhaustive
def test_without_a_seed_all_take_the_same(workspace: Workspace):
    seen = trained(workspace, "TFOnlineTrainer_carvemix", epochs=1)
    assert seen[0]["seed"] == seen[1]["seed"]
    assert same(seen[0]["weights"], seen[1]["weights"])
