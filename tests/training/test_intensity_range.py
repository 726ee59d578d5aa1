"""The range of real bodies becomes [-1, 1], and back."""

import numpy as np
import pytest
import torch

from nnunetv2_tf.training.intensity_range import IntensityRange
from tests.scenes import Built


def test_the_range_is_that_of_real_bodies(scene: Built):
    domain = IntensityRange.of(scene.cases)
    values = np.concatenate([case.image()[0][case.body()] for case in scene.cases])
    low, high = np.percentile(values, [0.5, 99.5])
    assert domain.low[0] == pytest.approx(low, abs=0.1)
    assert domain.high[0] == pytest.approx(high, abs=0.1)
    z = torch.tensor([domain.low[0], domain.high[0], 9.0]).reshape(1, 1, 1, 1, 3)
    body = torch.tensor([True, True, False]).reshape(1, 1, 1, 3)
    assert domain.normalise(z, body).flatten().tolist() == pytest.approx([-1, 1, -1])
    everywhere, difference = torch.ones_like(body), domain.denormalise_difference(torch.tensor(0.25))
    step = domain.normalise(z + difference, everywhere) - domain.normalise(z, everywhere)
    assert step.flatten().tolist() == pytest.approx([0.25] * 3, abs=1e-5)
