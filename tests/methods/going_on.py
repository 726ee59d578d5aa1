"""Trainings that were stopped go on as if they had not been."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nnunetv2_tf.networks.saved import weights_of
from nnunetv2_tf.training.loop import Loop, Schedule, read_state

STEPS = 3  # of each of two epochs


def check_goes_on(
    whole: Any, half: Any, resumed: Any, batch: Callable[..., dict[str, Tensor]], plots: Mapping[str, Sequence[str]],
    folder: Path,
) -> None:  # fmt: skip
    """Trains `whole` for two epochs, `half` for one, from whose checkpoint `resumed` goes on to the same weights."""

    def arrays(step: int) -> dict[str, np.ndarray]:
        return {name: value.numpy() for name, value in batch(seed=step).items()}

    resumed.seed, whole.shown = half.seed, [batch(number=1)]
    Loop(whole, Schedule(2, STEPS, 5, plots), folder / "whole").run(arrays, 0)
    half.begin(0)
    for step in range(STEPS):
        half.step(batch(seed=step), 0, step)
    torch.save({"learner": half.state(), "curves": {}, "epoch": 1}, folder / "half.pth")
    resumed.restore(read_state(folder / "half.pth")["learner"])  # as a killed training does
    resumed.begin(1)
    for step in range(STEPS):
        resumed.step(batch(seed=STEPS + step), 1, step)
    for name, network in whole.networks.items():
        for weight, value in weights_of(network).items():
            assert torch.equal(value, weights_of(resumed.networks[name])[weight]), weight
