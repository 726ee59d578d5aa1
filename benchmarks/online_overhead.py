"""What new cases in every batch cost: TFOnlineTrainer against TFEnrichedTrainer on a set of the same method.

    python -m benchmarks.online_overhead FOLDER [-m METHOD:PRESET ...] [-workers 0 1 2] [-device cuda]

FOLDER is that of benchmarks.starting_line, where methods that learn are fitted. Both trainers draw half of their
patches from synthetic cases, in bfloat16 on a CPU; pairs of short epochs, of 24 steps and two for validation,
interleaved. Workers stand still while it is not their trainer's turn: else they would make ahead, unmeasured, what they
are measured by. A pool's cases are made in epochs of 250 steps, so they are not in these; what eight of them take is
printed. For the methods that make cases where batches are made: the seconds of a batch with half of it new and with a
set, in one process and thread, and how many workers keep up with a step of 0.1 s, as a GPU may take.
"""

import argparse
import contextlib
import io
import math
import os
import signal
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from benchmarks.commands import enter, show
from benchmarks.epochs import run_epoch
from benchmarks.ratios import interleaved
from benchmarks.starting_line import DATASET, HEALTHY, PLANS
from nnunetv2_tf.methods.lookup import find_method
from nnunetv2_tf.sets.store import SetPart

METHODS = ("tumorcp:default", "carvemix:default", "syntumor:default", "tf_aug:default", "tf_gan:brief")
STEPS, VALIDATED, PAIRS, CASES, SEED = 24, 2, 4, 24, 0
BATCHES = 30  # that are timed by themselves
STEP = 0.1  # seconds of a step on a GPU
EPOCHS = 1000  # more than are run


class Epochs:
    """One trainer, run epoch by epoch."""

    def __init__(self, name: str, device: str) -> None:
        from nnunetv2.run.run_training import get_trainer_from_args

        with contextlib.redirect_stdout(io.StringIO()):
            trainer: Any = get_trainer_from_args(
                DATASET.name, "3d_fullres", 0, name, PLANS, device=torch.device(device)
            )
            trainer.num_epochs, trainer.num_iterations_per_epoch = EPOCHS, STEPS
            trainer.num_val_iterations_per_epoch, trainer.save_every = VALIDATED, EPOCHS
            trainer.on_train_start()
        self.trainer = trainer

    def run(self) -> float:
        """Run one epoch, during which its workers go on; return its seconds."""
        self._workers(signal.SIGCONT)
        try:
            return run_epoch(self.trainer)
        finally:
            self._workers(signal.SIGSTOP)

    def _workers(self, what: int) -> None:
        for augmenter in (self.trainer.dataloader_train, self.trainer.dataloader_val):
            for process in getattr(augmenter, "_processes", ()):
                os.kill(process.pid, what)

    def end(self) -> None:
        """End its workers, and what makes its pool."""
        self._workers(signal.SIGCONT)
        for augmenter in (self.trainer.dataloader_train, self.trainer.dataloader_val):
            if hasattr(augmenter, "_finish"):
                augmenter._finish()
        keeper = getattr(self.trainer, "keeper", None)
        if keeper is not None:
            keeper.close(remove=False)


def names(method: str, preset: str) -> tuple[str, str, list[str]]:
    """Return the set, the online trainer's part of a name, and the options of commands."""
    real = "real" in find_method(method, preset).method_class.hosts
    healthy = [] if real else ["-healthy", HEALTHY]
    called = method + ("" if real else f"_h{HEALTHY}") + ("" if preset == "default" else f"_{preset}")
    return f"over{method.replace('_', '')}", called, healthy


def compare(method: str, preset: str, workers: str, device: str) -> None:
    """Make the set where it is missing; print the ratio."""
    set_name, called, healthy = names(method, preset)
    os.environ["nnUNet_n_proc_DA"] = "0"
    if not SetPart(DATASET, set_name, 0).exists():
        options = ["-m", method, "-preset", preset, *healthy, "-p", PLANS, "-num_cases", str(CASES), "-s", set_name]
        if show("nnUNetv2_tf_synthesize", DATASET.name, "3d_fullres", "0", *options, "-np", "1"):
            raise SystemExit(1)
    os.environ["nnUNet_n_proc_DA"] = workers
    ending = f"seed{SEED}_p50" + ("_bf16" if device == "cpu" else "")
    both = [
        Epochs(name, device)
        for name in (f"TFEnrichedTrainer_{set_name}_{ending}", f"TFOnlineTrainer_{called}_{ending}")
    ]
    for epochs in both:
        epochs.run()  # warm-up
    ratio = interleaved(both[0].run, both[1].run, PAIRS)
    for epochs in both:
        epochs.end()
    print(f"{method} {preset}, {workers} workers: {ratio}", flush=True)


def seconds_of_batches(method: str, preset: str) -> None:
    """Print how long a batch takes one process, by a set and online, and how many processes a GPU would want."""
    set_name, called, _ = names(method, preset)
    os.environ["nnUNet_n_proc_DA"] = "0"
    both = [Epochs(f"{name}_seed{SEED}_p50", "cpu").trainer.dataloader_train for name in (
        f"TFEnrichedTrainer_{set_name}", f"TFOnlineTrainer_{called}"
    )]  # fmt: skip

    def batch(loader: Any) -> float:
        start = perf_counter()
        next(loader)
        return perf_counter() - start

    ratio = interleaved(lambda: batch(both[0]), lambda: batch(both[1]), BATCHES)
    seconds = ratio.reference * ratio.median
    print(f"{method} {preset}, a batch: {ratio}; {math.ceil(seconds / STEP)} workers keep up with {STEP} s a step")


def seconds_of_a_pool(method: str, preset: str) -> None:
    """Print how long the cases take that an epoch renews."""
    _, called, _ = names(method, preset)
    os.environ["nnUNet_n_proc_DA"] = "0"
    epochs = Epochs(f"TFOnlineTrainer_{called}_seed{SEED}_p50", "cpu")
    keeper = epochs.trainer.keeper
    keeper.fill(1)
    start = perf_counter()
    number = keeper.fill(2)
    print(f"{method} {preset}: {perf_counter() - start:.0f} s for the {number} cases that an epoch makes anew")
    epochs.end()


def main() -> int:
    """Print a line for each method and number of workers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, metavar="FOLDER", help="where nnU-Net's folders are")
    parser.add_argument("-m", nargs="+", default=METHODS, metavar="METHOD:PRESET", help="(default: %(default)s)")
    parser.add_argument("-workers", nargs="+", default=["0", "1", "2"], help="(default: 0 1 2)")
    parser.add_argument("-device", default="cpu", choices=["cpu", "cuda"])
    arguments = parser.parse_args()
    enter(arguments.root.resolve())
    for name in arguments.m:
        method, preset = name.split(":")
        for workers in arguments.workers:
            compare(method, preset, workers, arguments.device)
        quick = find_method(method, preset).method_class.quick
        (seconds_of_batches if quick else seconds_of_a_pool)(method, preset)
    return 0


if __name__ == "__main__":
    sys.exit(main())
