"""Finds a and b of I(x) = a x + b. In: real cases, healthy sites, the baseline. Out: tf_aug.json.

Per class and channel, by the L1 distance between class-wise features of coarse and real tumours in the baseline's
encoder, with plain SGD. A run that is killed goes on where it was, with the same result.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from nnunetv2_tf.baseline.crops import crop_size
from nnunetv2_tf.baseline.encoder import Encoder
from nnunetv2_tf.baseline.features import Features, prototype
from nnunetv2_tf.baseline.pooling import class_distance
from nnunetv2_tf.cases import channel_names
from nnunetv2_tf.errors import UserError
from nnunetv2_tf.methods.base import FitData
from nnunetv2_tf.methods.tf_aug.config import TFAugConfig
from nnunetv2_tf.methods.tf_aug.samples import (
    Eye,
    Sample,
    moments_of_coarse,
    moments_of_real,
    sample_of,
)
from nnunetv2_tf.preparation.stored import Case
from nnunetv2_tf.records import read_record, to_json
from nnunetv2_tf.training.logger import Logger
from nnunetv2_tf.work import write_json

FINAL, LATEST = "tf_aug.json", "checkpoint_latest.json"
CURE = "fit again with --overwrite."
STEEPEST = 5.0  # a that moments may start at
ROUNDS = 5  # until moments agree
POOL, STEP, REAL = range(3)  # streams of random numbers

Numbers = tuple[tuple[float, ...], ...]  # (K, C)


@dataclass(frozen=True)
class Fitted:
    """What a fit has found: all that making coarse images takes."""

    classes: tuple[int, ...]
    names: tuple[str, ...]  # of the classes
    channels: tuple[str, ...]
    a: Numbers
    b: Numbers
    losses: tuple[float, ...]  # by epoch
    path_a: tuple[Numbers, ...]  # by epoch
    path_b: tuple[Numbers, ...]


class Fit:
    """One run of fitting."""

    def __init__(self, config: TFAugConfig, data: FitData, folder: Path, device: torch.device) -> None:
        self.config, self.data, self.folder, self.device = config, data, folder, device
        self.seed = int(data.rng.integers(2**32))
        manager, meaning = data.real[0].plan.manager, data.real[0].meaning
        self.donors = [case for case in data.real if case.has_tumour()]
        schemes = manager.normalization_schemes
        self.eye = Eye(
            Encoder.of(data.baseline).to(device),
            meaning.tumour,
            crop_size(manager.patch_size),
            tuple(scheme == "ZScoreNormalization" for scheme in schemes),
            device,
        )
        names = {value: name for name, value in data.class_names.items()}
        self.names = tuple(names.get(value, str(value)) for value in meaning.tumour)
        self.channels = channel_names(data.real[0].dataset)
        self.logger = Logger(folder)
        self._real: dict[str, Features] = {}

    def run(self) -> Fitted:
        """Fits, or goes on fitting; the end is in tf_aug.json."""
        config = self.config
        self.pool = [self._sample(POOL, index) for index in range(config.pool or 0)]
        real = [self._features(case) for case in self.donors] if config.prototypes else []
        self.goal = prototype(Features.joined(real)) if real else None
        latest = self.folder / LATEST
        state = read_record(Fitted, latest, CURE) if latest.exists() else self._start()
        if not latest.exists():
            self._log_start(state)
        while len(state.losses) < config.epochs:
            start = perf_counter()
            state, steps = self._epoch(state)
            write_json(latest, to_json(state))
            seconds = perf_counter() - start
            self.logger.epoch(len(state.losses) - 1, {"loss": state.losses[-1]}, seconds, steps)
            self.logger.lines(self._lines(state))
            self._paint(state)
        write_json(self.folder / FINAL, to_json(state))
        latest.unlink(missing_ok=True)
        return state

    def _start(self) -> Fitted:
        shape = (len(self.eye.classes), len(self.channels))
        a, b = np.ones(shape), np.zeros(shape)
        if self.config.moments:
            a, b = self._by_moments(a, b)
        return Fitted(self.eye.classes, self.names, self.channels, _numbers(a), _numbers(b), (), (), ())

    def _by_moments(self, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(K, C) each: with these coarse tumours have the mean and sd of real ones, in cases normalised anew."""
        samples = self.pool or [self._sample(POOL, index) for index in range(8)]
        real = moments_of_real(self.donors, self.eye.classes)
        ours, detail = moments_of_coarse(samples, self.eye.classes)
        for _ in range(ROUNDS):  # tumours change what their cases are normalised by
            mean_after, sd_after = self.eye.normalised_by(samples, a, b)
            for index, value in enumerate(self.eye.classes):
                if value in real and value in ours:
                    mean, sd = real[value] * sd_after + [mean_after, np.zeros_like(mean_after)]
                    (our_mean, our_sd), (more, more_sd) = ours[value], detail[value]
                    wanted = np.sqrt(np.maximum(sd**2 - more_sd**2, 0))  # what the detail leaves to do
                    a[index] = np.clip(wanted / np.maximum(our_sd, 1e-6), 1 / STEEPEST, STEEPEST)
                    b[index] = mean - a[index] * our_mean - more
        return a, b

    def _epoch(self, state: Fitted) -> tuple[Fitted, int]:
        config, epoch = self.config, len(state.losses)
        raw_a = torch.tensor(state.a, dtype=torch.float64, device=self.device)
        raw_a = (_inverse_softplus(raw_a) if config.positive else raw_a).requires_grad_()
        b = torch.tensor(state.b, dtype=torch.float64, device=self.device, requires_grad=True)
        optimizer = torch.optim.SGD([raw_a, b], lr=self._rate(epoch))
        once_through = len(self.pool) or len(self.data.healthy)
        steps = min(config.iterations, max(1, once_through // config.batch))
        order = np.random.default_rng([self.seed, STEP, epoch]).permutation(len(self.pool))
        of_pool = None if self.goal is None else self._of_pool(state)
        losses = []
        for step in range(steps):
            batch = self._batch(epoch, step, order)
            a = softplus(raw_a) if config.positive else raw_a
            ours = self.eye.of_coarse(batch, a.float(), b.float())
            if of_pool is None:
                theirs = self._random_real(epoch, step)
                loss = class_distance(ours.means, theirs.means, ours.present & theirs.present).mean()
            else:
                of_pool = of_pool.with_batch(order[step * config.batch : (step + 1) * config.batch], ours)
                loss = self._to_goal(of_pool)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
            of_pool = None if of_pool is None else of_pool.detached()
        found = softplus(raw_a) if config.positive else raw_a
        a_now, b_now = _numbers(found.detach().cpu().numpy()), _numbers(b.detach().cpu().numpy())
        if not np.isfinite([a_now, b_now]).all():
            raise UserError(
                f"The fit in {self.folder} came to values that are no numbers; fit with another -seed, and --overwrite."
            )
        state = replace(
            state,
            a=a_now,
            b=b_now,
            losses=(*state.losses, float(np.mean(losses))),
            path_a=(*state.path_a, a_now),
            path_b=(*state.path_b, b_now),
        )
        return state, steps

    def _of_pool(self, state: Fitted) -> Features:
        """Features of all coarse images, (N, K, F) per stage."""
        a, b = torch.tensor(state.a, device=self.device).float(), torch.tensor(state.b, device=self.device).float()
        with torch.no_grad():
            return Features.joined([self.eye.of_coarse([sample], a, b) for sample in self.pool])

    def _to_goal(self, of_pool: Features) -> Tensor:
        """How far the mean coarse tumour is from the mean real one.

        Of means, not the mean over images: each image's own distance is least when images are alike, that is with a
        smaller a than the real one.
        """
        ours, goal = prototype(of_pool), self.goal
        assert goal is not None
        return class_distance(ours.means, goal.means, ours.present & goal.present)[0]

    def _batch(self, epoch: int, step: int, order: np.ndarray) -> list[Sample]:
        size = self.config.batch
        if self.pool:
            return [self.pool[index] for index in order[step * size : (step + 1) * size]]
        return [self._sample(STEP, epoch, step, index) for index in range(size)]

    def _sample(self, *stream: int) -> Sample:
        site = self.data.sample_site(np.random.default_rng([self.seed, *stream]))
        return sample_of(site, self.config, self.eye.classes, self.eye.size)

    def _random_real(self, epoch: int, step: int) -> Features:
        """Of one case for each image of the batch."""
        rng = np.random.default_rng([self.seed, REAL, epoch, step])
        chosen = [self._features(self.donors[rng.integers(len(self.donors))]) for _ in range(self.config.batch)]
        return Features.joined(chosen)

    def _features(self, case: Case) -> Features:
        """The encoder is frozen, so a real case's never change."""
        if case.identifier not in self._real:
            self._real[case.identifier] = self.eye.of_real(case)
        return self._real[case.identifier]

    def _rate(self, epoch: int) -> float:
        return self.config.learning_rate * (1 - epoch / self.config.epochs if self.config.falling else 1)

    def _log_start(self, state: Fitted) -> None:
        self.logger.lines(
            [
                f"{len(self.data.real)} real cases, {len(self.donors)} with a tumour; {len(self.data.healthy)} healthy",
                f"the encoder is that of {self.data.baseline.path}",
                f"it sees {' x '.join(map(str, self.eye.size))} voxels around the middle of a tumour",
                *self._lines(state),
            ]
        )

    def _lines(self, state: Fitted) -> list[str]:
        return [
            f"{name} {channel}: a {state.a[k][c]:.4f}, b {state.b[k][c]:+.4f}"
            for k, name in enumerate(state.names)
            for c, channel in enumerate(state.channels)
        ]

    def _paint(self, state: Fitted) -> None:
        curves = {"loss": {"coarse to real": list(state.losses)}, "a": {}, "b": {}}
        for k, name in enumerate(state.names):
            for c, channel in enumerate(state.channels):
                curves["a"][f"{name} {channel}"] = [numbers[k][c] for numbers in state.path_a]
                curves["b"][f"{name} {channel}"] = [numbers[k][c] for numbers in state.path_b]
        self.logger.paint(curves)


def _numbers(values: np.ndarray | Sequence) -> Numbers:
    return tuple(tuple(float(value) for value in row) for row in values)


def _inverse_softplus(value: Tensor) -> Tensor:
    return value + torch.log(-torch.expm1(-value))
