"""What `_bf16` saves on a CPU, and what it costs.

    NNUNETV2_TF_REAL_DATA=... python -m benchmarks.bf16 step FOLDER
    python -m benchmarks.bf16 train FOLDER

step: a training step of TFBaselineTrainer on the scans of Dataset531 (prepared in FOLDER where they are not), in
bfloat16 against float32, on the same batches, interleaved. train: three seeds of each on stand-ins, by two matrices
that differ in `precision` only; the last training loss and the Dice of the validation cases.
"""

import argparse
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

from benchmarks.africa import ALL_PLANS, prepare_steering
from benchmarks.commands import show
from benchmarks.killed_run import COMMON, NNUNET, prepare
from benchmarks.ratios import interleaved
from nnunetv2_tf.benchmark.matrix import read_matrix
from nnunetv2_tf.io.files import read_json, write_json

PAIRS, BATCHES = 20, 4
EPOCHS, SEEDS = 5, (0, 1, 2)
TRAINER = "TFBaselineTrainer_1epochs_seed0"
LOSS = re.compile(r"train_loss (-?[\d.]+)")


def steps(root: Path) -> None:
    """Print the ratio of a step in bfloat16 to one in float32."""
    os.environ["nnUNet_n_proc_DA"] = "0"
    dataset = prepare_steering(root)
    with tempfile.TemporaryDirectory() as results:
        os.environ["nnUNet_results"] = results
        plain, brief = (_trainer(dataset.name, name) for name in (TRAINER, f"{TRAINER}_bf16"))
        batches = [next(plain.dataloader_train) for _ in range(BATCHES)]
        in_float32, in_bfloat16 = (_timed(trainer, batches) for trainer in (plain, brief))
        for warm_up in (in_float32, in_bfloat16):
            warm_up()
        print(f"bfloat16 over float32, a step of batch 2 on {torch.get_num_threads()} threads: ", end="")
        print(interleaved(in_float32, in_bfloat16, PAIRS))


def _trainer(dataset: str, name: str) -> Any:
    from nnunetv2.run.run_training import get_trainer_from_args

    trainer: Any = get_trainer_from_args(dataset, "3d_fullres", 0, name, ALL_PLANS, device=torch.device("cpu"))
    trainer.on_train_start()
    trainer.network.train()
    return trainer


def _timed(trainer: Any, batches: list[dict]) -> Callable[[], float]:
    """Return a function that takes one step with the next batch and tells its seconds."""
    count = iter(range(10**6))

    def step() -> float:
        batch = batches[next(count) % len(batches)]
        begun = perf_counter()
        trainer.train_step(batch)
        return perf_counter() - begun

    return step


def trainings(root: Path) -> None:
    """Train three seeds in each precision; print their last loss and mean validation Dice."""
    prepare(root)
    for name, precision in (("float32", {}), ("bf16", {"precision": "bf16"})):
        path = root / f"{name}.json"
        write_json(path, {**COMMON, **precision, "epochs": EPOCHS, "seeds": SEEDS, "arms": [NNUNET]})
        show("nnUNetv2_tf_benchmark", "run", str(path), "-device", "cpu", "-o", str(root / name), "--allow_changes")
        for training in read_matrix(path).trainings():
            (log,) = training.folder.glob("training_log_*.txt")
            losses = [float(loss) for loss in LOSS.findall(log.read_text(encoding="utf-8"))]
            dice = read_json(training.folder / "validation" / "summary.json", "")["foreground_mean"]["Dice"]
            print(f"{name}, seed {training.seed}: last training loss {losses[-1]:.4f}, validation Dice {dice:.4f}")
            assert np.isfinite(losses).all()


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["step", "train"])
    parser.add_argument("root", type=Path, help="where nnU-Net's folders go")
    arguments = parser.parse_args()
    {"step": steps, "train": trainings}[arguments.what](arguments.root.resolve())


if __name__ == "__main__":
    main()
