"""Diffusion. In: data x_0 and noise e. Out: what lies between them, what a network is to predict, and the way back.

x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) e, where a_t falls from 1 at t = 0, the data, nearly to 0 at t = T, noise. A step of
a sampler goes from t to any earlier s, so that a network trained with many times can be sampled in few.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Target = Literal["e", "x0", "v"]  # what a network predicts
Sampler = Literal["ddpm", "ddim"]
OFFSET = 0.008  # s of the cosine schedule
LARGEST_BETA = 0.9999


@dataclass(frozen=True)
class Schedule:
    """How much of the data is left at each time: a cosine schedule of T times."""

    times: int  # T

    @cached_property
    def a(self) -> np.ndarray:
        """(T + 1,): a_t, the share of the data's variance that is left at each time."""
        return np.cumprod(np.concatenate([[1.0], 1 - self.betas]))

    @cached_property
    def betas(self) -> np.ndarray:
        """(T,): b_t = 1 - a_t / a_(t-1), the share that each step takes away."""
        place = (np.arange(self.times + 1) / self.times + OFFSET) / (1 + OFFSET)
        left = np.cos(place * np.pi / 2) ** 2
        return np.minimum(1 - left[1:] / left[:-1], LARGEST_BETA)

    def at(self, t: Tensor, like: Tensor) -> Tensor:
        """Return a_t for times (B,), shaped to multiply (B, C, Z, Y, X)."""
        return torch.from_numpy(self.a).to(like)[t].reshape(-1, *[1] * (like.ndim - 1))

    def noised(self, x0: Tensor, e: Tensor, t: Tensor) -> Tensor:
        """Return x_t of data and noise (B, ...) at times (B,)."""
        a = self.at(t, x0)
        return a.sqrt() * x0 + (1 - a).sqrt() * e

    def target(self, kind: Target, x0: Tensor, e: Tensor, t: Tensor) -> Tensor:
        """Return what a network is to predict of x_t: e, x_0, or v = sqrt(a_t) e - sqrt(1 - a_t) x_0."""
        a = self.at(t, x0)
        return {"e": e, "x0": x0, "v": a.sqrt() * e - (1 - a).sqrt() * x0}[kind]

    def data_of(self, kind: Target, predicted: Tensor, xt: Tensor, t: Tensor) -> Tensor:
        """Return the x_0 that a prediction about x_t means."""
        a = self.at(t, xt)
        if kind == "e":
            return (xt - (1 - a).sqrt() * predicted) / a.sqrt()
        return predicted if kind == "x0" else a.sqrt() * xt - (1 - a).sqrt() * predicted

    def steps(self, number: int) -> list[int]:
        """Return the times of a sampler of so many steps: from T to 0, evenly; no more than there are."""
        return np.rint(np.linspace(self.times, 0, min(number, self.times) + 1)).astype(int).tolist()


def ddpm_step(schedule: Schedule, xt: Tensor, x0: Tensor, t: int, s: int, noise: Tensor) -> Tensor:
    """Return a draw of x_s, from what x_t and x_0 tell of it: a Gaussian."""
    a_t, a_s = float(schedule.a[t]), float(schedule.a[s])
    between = a_t / a_s
    mean = between**0.5 * (1 - a_s) / (1 - a_t) * xt + a_s**0.5 * (1 - between) / (1 - a_t) * x0
    variance = (1 - a_s) / (1 - a_t) * (1 - between)
    return mean + variance**0.5 * noise


def ddim_step(schedule: Schedule, xt: Tensor, x0: Tensor, t: int, s: int) -> Tensor:
    """Return x_s with the noise that x_t and x_0 tell of; nothing is drawn."""
    a_t, a_s = float(schedule.a[t]), float(schedule.a[s])
    e = (xt - a_t**0.5 * x0) / (1 - a_t) ** 0.5
    return a_s**0.5 * x0 + (1 - a_s) ** 0.5 * e


def sampled(
    schedule: Schedule,
    kind: Target,
    predict: Callable[[Tensor, Tensor], Tensor],
    noise: Sequence[Tensor],
    sampler: Sampler,
    number: int,
    limit: float | None = None,
) -> Tensor:
    """Return a sample.

    Args:
        schedule: that the network was trained with
        kind: what the network predicts
        predict: the network, of x_t (B, ...) and t (B,)
        noise: standard normal: x_T, and for `ddpm` one more for each step after the first
        sampler: `ddpm` draws noise in each step, `ddim` none
        number: of steps
        limit: x_0 is held within -limit and limit in each step; None: it is not
    """
    xt = noise[0]
    for index, (t, s) in enumerate(pairwise(schedule.steps(number))):
        time = torch.full((len(xt),), t, device=xt.device)
        x0 = schedule.data_of(kind, predict(xt, time), xt, time)
        if limit is not None:
            x0 = x0.clamp(-limit, limit)
        if s == 0:
            return x0
        xt = (
            ddim_step(schedule, xt, x0, t, s)
            if sampler == "ddim"
            else ddpm_step(schedule, xt, x0, t, s, noise[index + 1])
        )
    raise AssertionError("a schedule has at least one step")
