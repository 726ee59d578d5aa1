"""Realism of one fold's part of a set, by every eye. In: real and made examples. Out: figures with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from nnunetv2_tf.baseline.encoder import Encoder
from nnunetv2_tf.quality.distances import (
    brightness_distance,
    diversity,
    kernel_figure,
    mean_difference,
    nearest_real,
    profile_distance,
)
from nnunetv2_tf.quality.encoder_features import encoder_features
from nnunetv2_tf.quality.examples import Example, matched_by_volume
from nnunetv2_tf.quality.fresh_judge import JUDGES, USUAL, judged_pairs
from nnunetv2_tf.quality.named_features import named_features
from nnunetv2_tf.quality.two_samples import RESAMPLED, Estimate, estimate, interval, told_apart
from nnunetv2_tf.training.judge import JudgeConfig

FEWEST, MOST = 3, 60  # real cases, and made ones, that anything can be asked about, and that are looked at
HALVES, JUDGED = 20, 5  # splits of real patients into halves that are told apart; those that fresh judges look at
GRAIN = ("grain", "texture")  # the named figures that the spectrum is


@dataclass(frozen=True)
class Yardsticks:
    """What compares real with made tumours: named figures, an encoder, fresh judges, distances."""

    classes: tuple[int, ...]
    channels: tuple[str, ...]
    encoder: Encoder | None  # of a baseline that no method learnt through
    trained: frozenset[str]  # the patients that this baseline trained on, whose tissue it sees otherwise
    device: torch.device
    seed: int
    config: JudgeConfig = USUAL

    def figures(
        self, examples: Sequence[Example], judges: int = JUDGES, resampled: int = RESAMPLED
    ) -> dict[str, Estimate]:
        """Return every figure of real against made examples; none where there are too few.

        Args:
            examples: of both
            judges: fresh ones that learn; 0: none is asked
            resampled: times that intervals are drawn; 0: none
        """
        rng = np.random.default_rng(self.seed)
        examples = _at_most(examples, rng)
        real = _real(examples)
        if min(real.sum(), (~real).sum()) < FEWEST:
            return {}
        names, named = self.named(examples)
        found = {"AUC named features": told_apart(named, examples, rng, resampled)}
        if all(one.further for one in examples):
            whole = np.array([list(one.further.values()) for one in examples], float)
            found["AUC whole brain"] = told_apart(whole, examples, rng, resampled)
        if judges:
            pairs = judged_pairs(examples, self.seed, judges, self.config)
            found["AUC fresh judges"] = interval(pairs, examples, rng, resampled)
        for name, figure in (
            ("brightness", brightness_distance(examples, self.classes)),
            ("profile", profile_distance(examples)),
            ("grain", mean_difference(named[:, [name.startswith(GRAIN) for name in names]], real)),
        ):
            found[f"{name} distance"] = estimate(figure, examples, rng, resampled, distance=True)
        found["diversity"] = estimate(diversity(named, real), examples, rng, resampled)
        found["nearest real"] = estimate(nearest_real(named, real), examples, rng, resampled)
        return found

    def encoded(self, examples: Sequence[Example], resampled: int = RESAMPLED) -> dict[str, Estimate]:
        """Return the figures by the encoder, of examples whose own tissue it did not train on; none if too few."""
        rng = np.random.default_rng(self.seed)
        unseen = _at_most([one for one in examples if one.groups[0] not in self.trained], rng)
        real = _real(unseen)
        if self.encoder is None or min(real.sum(), (~real).sum()) < FEWEST:
            return {}
        stages = encoder_features(unseen, self.encoder, self.device)
        found = {
            f"AUC encoder, stage {index}": told_apart(stage, unseen, rng, resampled)
            for index, stage in enumerate(stages)
        }
        together = np.concatenate(stages, axis=1)
        found["AUC encoder"] = told_apart(together, unseen, rng, resampled)
        standard = (together - together.mean(axis=0)) / np.maximum(together.std(axis=0), 1e-6)
        found["KID encoder"] = estimate(kernel_figure(standard, real), unseen, rng, resampled)
        return found

    def named(self, examples: Sequence[Example]) -> tuple[list[str], np.ndarray]:
        """Return the names of the named figures, and (N, F) their values."""
        rows = [named_features(one, self.classes, self.channels) for one in examples]
        return list(rows[0]), np.array([list(row.values()) for row in rows], float)


def against_real(yardsticks: Yardsticks, real: Sequence[Example], made: Sequence[Example]) -> dict[str, Estimate]:
    """Return the figures of made examples, as far as their volumes are like real ones'."""
    examples = [*real, *matched_by_volume(real, made)]
    return {**yardsticks.figures(examples), **yardsticks.encoded(examples)}


def real_against_real(yardsticks: Yardsticks, real: Sequence[Example]) -> dict[str, Estimate]:
    """Return the figures of real patients against others: what a perfect set would have, for samples half as large."""
    from tqdm import tqdm

    found: dict[str, list[float]] = {}
    unseen = [one for one in real if one.groups[0] not in yardsticks.trained]
    for half in tqdm(range(HALVES), "Real against real", unit="split"):
        figures = yardsticks.figures(_halved(real, yardsticks.seed, half), int(half < JUDGED), resampled=0)
        for name, value in {
            **figures,
            **yardsticks.encoded(_halved(unseen, yardsticks.seed, half), resampled=0),
        }.items():
            found.setdefault(name, []).append(value.value)
    return {name: _over_halves(values) for name, values in found.items()}


def _halved(real: Sequence[Example], seed: int, half: int) -> list[Example]:
    """Return real examples of which those of half of the patients play the made ones."""
    people = sorted({one.groups[0] for one in real})
    chosen = set(np.random.default_rng([seed, half]).permutation(people)[: len(people) // 2].tolist())
    return [replace(one, real=one.groups[0] not in chosen) for one in real]


def _over_halves(values: Sequence[float]) -> Estimate:
    known = [value for value in values if not np.isnan(value)]
    if not known:
        return Estimate(np.nan, np.nan, np.nan)
    return Estimate(float(np.mean(known)), *(float(value) for value in np.percentile(known, [2.5, 97.5])))


def _at_most(examples: Sequence[Example], rng: np.random.Generator) -> list[Example]:
    """Return MOST of the real and of the made examples, drawn, in their order; all where there are fewer."""
    real = _real(examples)
    chosen = [rng.permutation(np.flatnonzero(side))[:MOST] for side in (real, ~real)]
    return [examples[index] for index in sorted(np.concatenate(chosen).tolist())]


def _real(examples: Sequence[Example]) -> np.ndarray:
    return np.array([one.real for one in examples], bool)
