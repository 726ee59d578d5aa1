"""Train on synthetic, test on real, with a fast voxel classifier. In: a measured set. Out: Dice on validation cases."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nnunetv2_tf.benchmark.metrics import dice
from nnunetv2_tf.dataset.label_roles import read_regions
from nnunetv2_tf.geometry.grid import sideways_axis
from nnunetv2_tf.io.parallel import in_parallel
from nnunetv2_tf.quality.two_samples import Estimate
from nnunetv2_tf.quality.voxel_classifier import (
    Samples,
    Scan,
    VoxelClassifier,
    sampled,
    voxel_features,
)
from nnunetv2_tf.report.measured_set import MeasuredSet
from nnunetv2_tf.working_space.stored import Case, OpenCase

SEEDS = 3  # classifiers; their scores are averaged
RESAMPLED = 2000
TRAININGS = ("place alone", "real", "synthetic", "real and synthetic")


@dataclass(frozen=True)
class Usefulness:
    """Dice by training, region and validation case."""

    scores: Mapping[str, Mapping[str, Sequence[float]]]  # training: region: one per case
    cases: tuple[str, ...]

    def table(self, seed: int) -> dict[str, dict[str, Estimate]]:
        """Return means by training and region, and what synthetic cases add to real ones, with intervals over cases."""
        rng = np.random.default_rng(seed)
        found = {name: {region: _mean(row, rng) for region, row in rows.items()} for name, rows in self.scores.items()}
        real, both = self.scores["real"], self.scores["real and synthetic"]
        gains = {region: np.subtract(both[region], real[region]).tolist() for region in real}
        return {**found, "gain": {region: _mean(row, rng) for region, row in gains.items()}}


def usefulness(measured: MeasuredSet, seed: int) -> Usefulness:
    """Train classifiers on the fold's training cases, on the set, and on both; score them where nobody trained."""
    part = measured.part
    training = list(measured.cohort.training.values())
    real = list(sampled_cases((case.open() for case in training), seed, "Real voxels", len(training)))
    made = list(
        sampled_cases((one.case for one in measured.made()), seed, "Synthetic voxels", len(part.manifest().accepted))
    )
    samples = {
        "place alone": Samples.joined(real),
        "real": Samples.joined(real),
        "synthetic": Samples.joined(made),
        "real and synthetic": Samples.joined([*real, *made]),
    }
    models = {
        name: [VoxelClassifier(seed + index, name == "place alone").fit(samples[name]) for index in range(SEEDS)]
        for name in TRAININGS
    }
    tumour = set(measured.cohort.roles.tumour)
    regions = {name: values for name, values in read_regions(part.dataset).items() if tumour.issuperset(values)}
    scores: dict[str, dict[str, list[float]]] = {name: {region: [] for region in regions} for name in TRAININGS}
    for case in in_parallel(_read, [measured.real[name] for name in measured.validating], 1, "Scoring", "case"):
        features = voxel_features(case)
        for name, several in models.items():
            segmentations = [model.segmentation(case, features) for model in several]
            for region, values in regions.items():
                truth = np.isin(case.label, values)
                dices = [dice(np.isin(found, values), truth) for found in segmentations]
                scores[name][region].append(float(np.mean(dices)))
    return Usefulness(scores, measured.validating)


def scan_of(case: OpenCase) -> Scan:
    """Return what the classifier reads of a case."""
    return Scan(case.image(), case.tumour(), case.organ(), case.grid.spacing, sideways_axis(case.grid.affine))


def _read(case: Case) -> Scan:
    return scan_of(case.open())


def sampled_cases(cases: Iterable[OpenCase], seed: int, description: str, number: int) -> Iterable[Samples]:
    """Draw voxels of cases, of which there are so many."""
    from tqdm import tqdm

    for index, case in enumerate(tqdm(cases, description, number, unit="case")):
        yield sampled(scan_of(case), np.random.default_rng([seed, index]))


def _mean(values: Sequence[float], rng: np.random.Generator) -> Estimate:
    drawn = rng.integers(len(values), size=(RESAMPLED, len(values)))
    means = np.array(values)[drawn].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Estimate(float(np.mean(values)), float(low), float(high))
