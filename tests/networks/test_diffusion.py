"""Schedules and samplers against closed forms."""

import numpy as np
import pytest
import torch

from nnunetv2_tf.networks.diffusion import Schedule, ddim_step, ddpm_step, sampled

FEW, MANY = Schedule(4), Schedule(1000)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_four_times_are_those_that_were_published():
    assert FEW.betas == pytest.approx([0.1530, 0.4170, 0.7079, 0.9999], abs=1e-4)
    assert FEW.a == pytest.approx([1, 0.847, 0.494, 0.144, 1.4e-5], abs=5e-4)


def test_the_schedule_is_a_cosine():
    t = np.arange(1001) / 1000
    expected = np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2 / np.cos(0.008 / 1.008 * np.pi / 2) ** 2
    assert MANY.a[:-1] == pytest.approx(expected[:-1], abs=1e-9)
    assert np.all(np.diff(MANY.a) < 0)


@pytest.mark.parametrize("kind", ["e", "x0", "v"])
@pytest.mark.parametrize("schedule", [FEW, MANY])
def test_targets_lead_back_to_the_data(kind, schedule):
    x0, e = normal(5, 2, 3, 3, 3), normal(5, 2, 3, 3, 3, seed=1)
    t = torch.tensor([1, 2, 3, 1, 2]) * (1 if schedule is FEW else 200)
    xt, a = schedule.noised(x0, e, t), schedule.a[t.numpy()]
    for index in range(5):
        expected = a[index] ** 0.5 * x0[index] + (1 - a[index]) ** 0.5 * e[index]
        torch.testing.assert_close(xt[index], expected)
    back = schedule.data_of(kind, schedule.target(kind, x0, e, t), xt, t)
    torch.testing.assert_close(back, x0)


def test_steps_go_from_noise_to_data():
    assert FEW.steps(4) == [4, 3, 2, 1, 0]
    assert FEW.steps(1) == [4, 0]
    assert FEW.steps(64) == [4, 3, 2, 1, 0]  # no more than there are
    assert MANY.steps(4) == [1000, 750, 500, 250, 0]


def test_a_step_of_ddpm_is_bayes_rule():
    """The Gaussian of x_s given x_t and x_0, by the product of x_s given x_0 and x_t given x_s, on a fine grid."""
    t, s, x0, xt = 600, 350, 0.7, -0.4
    a_t, a_s = MANY.a[t], MANY.a[s]
    grid = np.linspace(-8, 8, 200_001)
    between = a_t / a_s
    log = -((grid - a_s**0.5 * x0) ** 2) / (2 * (1 - a_s)) - (xt - between**0.5 * grid) ** 2 / (2 * (1 - between))
    weights = np.exp(log - log.max())
    weights /= weights.sum()
    mean = (weights * grid).sum()
    sd = ((weights * (grid - mean) ** 2).sum()) ** 0.5
    state, data = torch.tensor([xt]), torch.tensor([x0])
    assert ddpm_step(MANY, state, data, t, s, torch.zeros(1)).item() == pytest.approx(mean, abs=1e-5)
    assert ddpm_step(MANY, state, data, t, s, torch.ones(1)).item() == pytest.approx(mean + sd, abs=1e-5)


def test_a_step_of_ddim_keeps_the_noise():
    x0, e = normal(4), normal(4, seed=1)
    xt = MANY.noised(x0, e, torch.full((4,), 700))
    torch.testing.assert_close(ddim_step(MANY, xt, x0, 700, 200), MANY.noised(x0, e, torch.full((4,), 200)))


def best_guess(mean: float, sd: float, schedule: Schedule):
    """What the best network of all predicts of Gaussian data: x_0's mean, given x_t."""

    def predict(xt: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        a = torch.from_numpy(schedule.a)[t]
        return mean + a.sqrt() * sd**2 / (a * sd**2 + 1 - a) * (xt - a.sqrt() * mean)

    return predict


@pytest.mark.parametrize(("sampler", "number", "tolerance"), [("ddim", 500, 0.02), ("ddpm", 500, 0.03)])
def test_samples_of_a_gaussian_are_its_own(sampler, number, tolerance):
    mean, sd, count = 1.5, 0.4, 20_000
    noise = [normal(count, seed=seed) for seed in range(number if sampler == "ddpm" else 1)]
    drawn = sampled(MANY, "x0", best_guess(mean, sd, MANY), noise, sampler, number)
    assert drawn.mean().item() == pytest.approx(mean, abs=tolerance)
    assert drawn.std().item() == pytest.approx(sd, abs=tolerance)
    if sampler == "ddim":  # which moves each point along its own way
        torch.testing.assert_close(drawn, mean + sd * noise[0], atol=0.02, rtol=0)


def test_one_step_is_the_mean_of_all_data():
    drawn = sampled(FEW, "x0", best_guess(1.5, 0.4, FEW), [normal(100)], "ddim", 1)
    assert drawn.numpy() == pytest.approx(1.5, abs=0.01)


def test_data_can_be_held_within_limits():
    drawn = sampled(FEW, "x0", lambda xt, _: xt * 100, [normal(100)], "ddim", 4, limit=1.0)
    assert float(drawn.abs().max()) == 1.0
