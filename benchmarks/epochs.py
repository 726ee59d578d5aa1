"""Epochs of nnU-Net's trainers, one by one, for benchmarks. In: a trainer that has started. Out: seconds."""

import contextlib
import io
from time import perf_counter
from typing import Any

import torch


def run_epoch(trainer: Any) -> float:
    """Run one epoch, the body of nnU-Net's run_training, quietly; return its seconds."""
    start = perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        trainer.on_epoch_start()
        trainer.on_train_epoch_start()
        steps = trainer.num_iterations_per_epoch
        trainer.on_train_epoch_end([trainer.train_step(next(trainer.dataloader_train)) for _ in range(steps)])
        with torch.no_grad():
            trainer.on_validation_epoch_start()
            steps = trainer.num_val_iterations_per_epoch
            outputs = [trainer.validation_step(next(trainer.dataloader_val)) for _ in range(steps)]
            trainer.on_validation_epoch_end(outputs)
        trainer.on_epoch_end()
    return perf_counter() - start
