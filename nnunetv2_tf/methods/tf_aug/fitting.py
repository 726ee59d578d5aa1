"""Fit of a and b in I(x) = a x + b. In: real cases, healthy sites, the baseline. Out: tf_aug.json.

Each class and channel has its a and b. SGD minimises the L1 distance between the class-wise features that coarse and
real tumours have in the baseline's encoder. A killed fit resumes from its last epoch, with the same result.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from nnunetv2.utilities.default_n_proc_DA import get_allowed_n_proc_DA
from torch import Tensor
from torch.nn.functional import softplus

from nnunetv2_tf.baseline.class_features import Features, class_distance, mean_features
from nnunetv2_tf.baseline.encoder import Encoder, crop_size
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import write_json
from nnunetv2_tf.io.json_dataclass import read_record, to_json
from nnunetv2_tf.methods.base import FitData
from nnunetv2_tf.methods.tf_aug.config import TFAugConfig
from nnunetv2_tf.methods.tf_aug.samples import (
    FeatureExtractor,
    Sample,
    SampleMaker,
    moments_of_coarse,
    moments_of_real,
)
from nnunetv2_tf.training.logger import Logger
from nnunetv2_tf.training.pool import Pool
from nnunetv2_tf.working_space.stored import Case

FINAL, LATEST = "tf_aug.json", "checkpoint_latest.json"
CURE = "fit again with --overwrite."
STEEPEST = 5.0  # the largest a to start with; the smallest is 1 / STEEPEST
ROUNDS = 5  # repetitions until mean and sd of coarse and real tumours agree
POOL, STEP, REAL = range(3)  # streams of random numbers

Numbers = tuple[tuple[float, ...], ...]  # (K, C)


@dataclass(frozen=True)
class IntensityMap:
    """The result of a fit, or its state after an epoch: all that is needed to make coarse images."""

    classes: tuple[int, ...]
    names: tuple[str, ...]  # of the classes
    channels: tuple[str, ...]
    a: Numbers
    b: Numbers
    losses: tuple[float, ...]  # by epoch
    path_a: tuple[Numbers, ...]  # by epoch
    path_b: tuple[Numbers, ...]


class IntensityMapFit:
    """One fit of a and b."""

    def __init__(self, config: TFAugConfig, data: FitData, folder: Path, device: torch.device) -> None:
        self.config, self.data, self.folder, self.device = config, data, folder, device
        self.seed = int(data.rng.integers(2**32))
        manager, roles = data.plan.manager, data.roles
        self.donors = [case for case in data.real if case.has_tumour()]
        self.extractor = FeatureExtractor(
            Encoder.of(data.baseline).to(device),
            roles.tumour,
            crop_size(manager.patch_size),
            tuple(data.plan.z_scored),
            device,
        )
        self.maker = SampleMaker(data.sample_site, config, roles.tumour, self.extractor.size, self.seed)
        names = {value: name for name, value in data.class_names.items()}
        self.names = tuple(names.get(value, str(value)) for value in roles.tumour)
        self.channels = data.channels
        self.logger = Logger(folder)
        self._real: dict[str, Features] = {}

    def run(self) -> IntensityMap:
        """Fit, or resume the fit; write the result to tf_aug.json and return it."""
        config = self.config
        self.pool = self._filled_pool()
        real = [self._features(case) for case in self.donors] if config.prototypes else []
        self.goal = mean_features(Features.joined(real)) if real else None
        latest = self.folder / LATEST
        state = read_record(IntensityMap, latest, CURE) if latest.exists() else self._start()
        if latest.exists():
            self.logger.lines([f"Going on after epoch {len(state.losses) - 1}, from {latest.name}"])
        else:
            self._log_start(state)
        while len(state.losses) < config.epochs:
            start = perf_counter()
            state, steps = self._epoch(state)
            write_json(latest, to_json(state))
            seconds = perf_counter() - start
            losses = state.losses
            self.logger.epoch(len(losses) - 1, config.epochs, {"loss": losses[-1]}, seconds, steps)
            self.logger.lines(self._lines(state))
            self._paint(state)
        write_json(self.folder / FINAL, to_json(state))
        latest.unlink(missing_ok=True)
        return state

    def _start(self) -> IntensityMap:
        shape = (len(self.extractor.classes), len(self.channels))
        a, b = np.ones(shape), np.zeros(shape)
        if self.config.moments:
            a, b = self._by_moments(a, b)
        return IntensityMap(self.extractor.classes, self.names, self.channels, _numbers(a), _numbers(b), (), (), ())

    def _by_moments(self, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return a and b, (K, C) each, that give coarse tumours the mean and sd of real ones after normalising anew."""
        samples = self.pool or [self.maker.sample(POOL, index) for index in range(8)]
        real = moments_of_real(self.donors, self.extractor.classes)
        blurred, detail = moments_of_coarse(samples, self.extractor.classes)
        for _ in range(ROUNDS):  # tumours change the mean and sd that their cases are normalised by
            mean_after, sd_after = self.extractor.normalised_by(samples, a, b)
            for index, value in enumerate(self.extractor.classes):
                if value in real and value in blurred:
                    mean, sd = real[value] * sd_after + [mean_after, np.zeros_like(mean_after)]
                    (blurred_mean, blurred_sd), (detail_mean, detail_sd) = blurred[value], detail[value]
                    wanted = np.sqrt(np.maximum(sd**2 - detail_sd**2, 0))  # the detail brings variance of its own
                    a[index] = np.clip(wanted / np.maximum(blurred_sd, 1e-6), 1 / STEEPEST, STEEPEST)
                    b[index] = mean - a[index] * blurred_mean - detail_mean
        return a, b

    def _epoch(self, state: IntensityMap) -> tuple[IntensityMap, int]:
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
            coarse = self.extractor.of_coarse(batch, a.float(), b.float())
            if of_pool is None:
                real = self._random_real(epoch, step)
                loss = class_distance(coarse.means, real.means, coarse.present & real.present).mean()
            else:
                of_pool = of_pool.with_batch(order[step * config.batch : (step + 1) * config.batch], coarse)
                loss = self._to_goal(of_pool)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
            of_pool = None if of_pool is None else of_pool.detached()
        a = softplus(raw_a) if config.positive else raw_a
        a_now, b_now = _numbers(a.detach().cpu().numpy()), _numbers(b.detach().cpu().numpy())
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

    def _of_pool(self, state: IntensityMap) -> Features:
        """Return the features of the pool's coarse images, (N, K, F) per stage."""
        a, b = torch.tensor(state.a, device=self.device).float(), torch.tensor(state.b, device=self.device).float()
        with torch.no_grad():
            return Features.joined([self.extractor.of_coarse([sample], a, b) for sample in self.pool])

    def _to_goal(self, of_pool: Features) -> Tensor:
        """Return the distance of the mean features of coarse tumours to those of real ones.

        Not the mean of each image's distance: that is smallest when all coarse images are alike, which makes a too
        small.
        """
        coarse, goal = mean_features(of_pool), self.goal
        assert goal is not None
        return class_distance(coarse.means, goal.means, coarse.present & goal.present)[0]

    def _batch(self, epoch: int, step: int, order: np.ndarray) -> list[Sample]:
        size = self.config.batch
        if self.pool:
            return [self.pool[index] for index in order[step * size : (step + 1) * size]]
        return [self.maker.sample(STEP, epoch, step, index) for index in range(size)]

    def _filled_pool(self) -> list[Sample]:
        """Return the samples that are used again and again; kept on disk until the fit has ended."""
        pool = Pool(partial(self.maker.arrays, POOL), self.config.pool or 0, folder=self.data.pool)
        return [Sample.from_arrays(piece) for piece in pool.fill(get_allowed_n_proc_DA(), "Making coarse tumours")]

    def _random_real(self, epoch: int, step: int) -> Features:
        """Return the features of a random real case for each image of the batch."""
        rng = np.random.default_rng([self.seed, REAL, epoch, step])
        chosen = [self._features(self.donors[rng.integers(len(self.donors))]) for _ in range(self.config.batch)]
        return Features.joined(chosen)

    def _features(self, case: Case) -> Features:
        """Return the features of a real case; cached, since the encoder is frozen."""
        if case.identifier not in self._real:
            self._real[case.identifier] = self.extractor.of_real(case)
        return self._real[case.identifier]

    def _rate(self, epoch: int) -> float:
        return self.config.learning_rate * (1 - epoch / self.config.epochs if self.config.falling else 1)

    def _log_start(self, state: IntensityMap) -> None:
        self.logger.lines(
            [
                f"{len(self.data.real)} real cases, {len(self.donors)} with a tumour; {len(self.data.healthy)} healthy",
                f"the encoder is that of {self.data.baseline.path}",
                f"it sees {' x '.join(map(str, self.extractor.size))} voxels around the middle of a tumour",
                *self._lines(state),
            ]
        )

    def _lines(self, state: IntensityMap) -> list[str]:
        return [
            f"{name} {channel}: a {state.a[k][c]:.4f}, b {state.b[k][c]:+.4f}"
            for k, name in enumerate(state.names)
            for c, channel in enumerate(state.channels)
        ]

    def _paint(self, state: IntensityMap) -> None:
        curves = {"loss": {"coarse to real": list(state.losses)}, "a": {}, "b": {}}
        for k, name in enumerate(state.names):
            for c, channel in enumerate(state.channels):
                curves["a"][f"{name} {channel}"] = [numbers[k][c] for numbers in state.path_a]
                curves["b"][f"{name} {channel}"] = [numbers[k][c] for numbers in state.path_b]
        self.logger.paint(curves, last=len(state.losses) == self.config.epochs)


def _numbers(values: np.ndarray | Sequence) -> Numbers:
    return tuple(tuple(float(value) for value in row) for row in values)


def _inverse_softplus(value: Tensor) -> Tensor:
    return value + torch.log(-torch.expm1(-value))
