"""What TFEnrichedTrainer costs per epoch, against stock nnUNetTrainer on the same batches (goal: at most 1.05).

    python -m benchmarks.trainer_overhead [-device cuda] [-workers 8]

The reference trains on the exported set (`nnUNetv2_tf_sets --export`), so both see the same cases; both are seeded
alike before every epoch, and the cases they drew are compared. The network is tiny and augmentation runs in the
training process, so whatever we add weighs as much as it ever can. An epoch is nnU-Net's: 250 steps, 50 for
validation, log, progress.png, checkpoint. With -workers the draws happen elsewhere and are not compared.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.commands import enter, run
from benchmarks.epochs import run_epoch
from benchmarks.ratios import interleaved
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.sets import manage
from nnunetv2_tf.standin.brains import Brains
from nnunetv2_tf.standin.foreign import write_foreign_cases
from nnunetv2_tf.standin.plans import NAME as PLANS
from nnunetv2_tf.standin.plans import write_tiny_plans

PAIRS = 20
GOAL = 1.05


class Epochs:
    """One trainer, run epoch by epoch."""

    def __init__(self, dataset: str, name: str, device: str) -> None:
        from nnunetv2.run.run_training import get_trainer_from_args

        np.random.seed(0)
        torch.manual_seed(0)
        self.trainer: Any = get_trainer_from_args(dataset, "3d_fullres", 0, name, PLANS, device=torch.device(device))
        self.trainer.on_train_start()
        self.drawn: list[str] = []
        if hasattr(self.trainer.dataloader_train, "data_loader"):  # augmentation in this process
            self._record_draws()

    def run(self) -> float:
        """Run one epoch, seeded by its number; return its seconds."""
        np.random.seed(self.trainer.current_epoch)
        torch.manual_seed(self.trainer.current_epoch)
        return run_epoch(self.trainer)

    def _record_draws(self) -> None:
        loader = self.trainer.dataloader_train.data_loader
        draw = loader.get_indices

        def recorded() -> Any:
            keys = draw()
            self.drawn += [key.removeprefix("demo_f0_") for key in keys]
            return keys

        loader.get_indices = recorded


def prepare(root: Path) -> None:
    """Make dataset 501 with set `demo`, and its export 701, planned and preprocessed."""
    enter(root)
    dataset = Dataset("Dataset501_StandIns")
    Brains().write_dataset(dataset.raw, 10, seed=0)
    run("nnUNetv2_plan_and_preprocess", "-d", "501", "-c", "3d_fullres", "-np", "1", "-npfp", "1")
    write_tiny_plans(dataset)
    foreign = root / "foreign"
    write_foreign_cases(dataset, 0, foreign, 8, seed=0)
    request = manage.AddRequest(
        dataset="501",
        folder=foreign,
        set_name="demo",
        folds=(0,),
        ancestors=foreign / "ancestors.json",
        configurations=("3d_fullres",),
        plans=PLANS,
        num_processes=1,
    )
    manage.add(request)
    manage.export(
        manage.ExportRequest(dataset="501", set_name="demo", folds=None, target_id=701, name=None, plans=PLANS)
    )
    run("nnUNetv2_preprocess", "-d", "701", "-plans_name", PLANS, "-c", "3d_fullres", "-np", "1")


def main() -> int:
    """Print the ratio; return 1 when the goal is missed or the batches differed, else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("-workers", default="0", help="nnU-Net's augmentation processes (default: %(default)s)")
    arguments = parser.parse_args()
    os.environ["nnUNet_n_proc_DA"] = arguments.workers
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        stock = Epochs("701", "nnUNetTrainer", arguments.device)
        ours = Epochs("501", "TFEnrichedTrainer_demo", arguments.device)
        for epochs in (stock, ours):
            epochs.run()  # warm-up: blur's own stopwatch, page cache
        ratio = interleaved(stock.run, ours.run, PAIRS)
    same = stock.drawn == ours.drawn
    print(f"TFEnrichedTrainer against nnUNetTrainer, per epoch: {ratio}")
    print(f"same {len(ours.drawn)} draws: {same}; upper bound at most {GOAL}: {ratio.high <= GOAL}")
    return 0 if same and ratio.high <= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
