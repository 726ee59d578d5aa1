"""Random changes of what is seen."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter

from nnunetv2_tf.methods.tf_gan.shake import Shake
from nnunetv2_tf.training.intensity_range import IntensityRange
from tests.methods.tf_gan.examples import batch
from tests.methods.tf_gan.test_gan_step import PLAIN, game

CPU = torch.device("cpu")
DOMAIN = IntensityRange((-2.0, -1.0), (4.0, 3.0))


def test_each_part_by_itself():
    """Against plain numpy, where neighbours are all within the body."""
    rng = np.random.default_rng(0)
    z, body = rng.normal(size=(2, 2, 8, 8, 8)).astype(np.float32), torch.ones(2, 8, 8, 8, dtype=torch.bool)
    none, some = torch.zeros(2), torch.tensor([0.5, -0.25])
    half = np.array([3.0, 2.0]).reshape(2, 1, 1, 1)
    smooth = np.array([[uniform_filter(channel, 3) for channel in patch] for patch in z])
    expected = {
        "contrast": (Shake(some, none, none), [z[0] * 1.5, z[1] * 0.75]),
        "brightness": (Shake(none, some, none), [z[0] + 0.5 * half, z[1] - 0.25 * half]),
        "grain": (Shake(none, none, some), [z[0] + 0.5 * (z[0] - smooth[0]), z[1] - 0.25 * (z[1] - smooth[1])]),
    }
    inside = (slice(None), slice(None), *(slice(1, -1),) * 3)
    for shake, wanted in expected.values():
        found = shake.applied(torch.from_numpy(z), body, DOMAIN).numpy()
        np.testing.assert_allclose(found[inside], np.array(wanted)[inside], atol=1e-5)


def test_air_stays_and_does_not_leak_in():
    z, body = torch.full((1, 2, 6, 6, 6), -9.0), torch.zeros(1, 6, 6, 6, dtype=torch.bool)
    body[..., :3] = True
    z[:, :, body[0]] = 1.0
    one = torch.ones(1)
    found = Shake(0 * one, 0 * one, one).applied(z, body, DOMAIN)
    torch.testing.assert_close(found, z, atol=1e-3, rtol=0)


def test_draws_have_the_wanted_spread_and_belong_to_a_place():
    sds = (0.2, 0.1, 0.3)
    many = Shake.draw(sds, [0, 1], range(4000), CPU)
    assert many is not None
    found = [values.std().item() for values in (many.contrast, many.brightness, many.grain)]
    assert found == pytest.approx(sds, rel=0.05)
    few = Shake.draw(sds, [0, 1], [7], CPU)
    assert few is not None
    assert few.grain[0] == many.grain[7]
    assert Shake.draw((0.0, 0.0, 0.0), [0, 1], [7], CPU) is None


def test_a_step_shakes_both_sides_each_by_its_own(monkeypatch: pytest.MonkeyPatch):
    shaken = []
    original = Shake.applied
    monkeypatch.setattr(Shake, "applied", lambda self, *given: shaken.append(self) or original(self, *given))
    found = game(replace(PLAIN, shake=(0.2, 0.1, 0.3)))
    found.step(batch(), 0, 0)
    values = [value for shake in shaken for value in shake.grain.tolist()]
    assert len(shaken) == 2
    assert max(Counter(values).values()) == 1
