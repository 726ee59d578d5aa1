"""The gap between healthy tissue of two cohorts. In: brains of both. Out: how well a classifier tells them apart.

A discriminator learns whatever tells healthy hosts from real scans, tumours or not. This is a classifier two-sample
test: patches without tumour are described by their contrast, brightness and sharpness, a logistic regression predicts
which cohort they are from, and is tested on people it was not trained on. An AUC of 0.5 means that nothing tells the
cohorts apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.training.auc import auc

QUANTILES = (5, 25, 50, 75, 95)
AXES = ("z", "y", "x")
FEATURES = (
    *(f"brightness at {quantile} %" for quantile in QUANTILES),
    "contrast",
    *(f"gradient along {axis}" for axis in AXES),
    *(f"fine detail along {axis}" for axis in AXES),
)
INSIDE = 0.9  # of a patch must be brain
FOLDS = 5  # of the cross-validation
RESAMPLED = 1000  # bootstrap samples for the interval


@dataclass(frozen=True)
class Brain:
    """One scan of a cohort."""

    person: str  # who may have several scans
    real: bool  # else healthy
    image: np.ndarray  # (Z, Y, X)
    brain: np.ndarray  # (Z, Y, X) bool, with the tumour
    tumour: np.ndarray  # (Z, Y, X) bool; in healthy scans all False


@dataclass(frozen=True)
class Gap:
    """How well two cohorts are told apart."""

    auc: float  # over scans, each by the mean over its patches, of people the classifier has not seen
    low: float  # 95 % interval over scans
    high: float
    p: float  # share of shuffled cohorts that are told apart at least as well
    patch_auc: float  # over single patches
    differences: dict[str, float]  # by feature, healthy minus real in standard deviations over scans

    def __str__(self) -> str:
        widest = sorted(self.differences.items(), key=lambda entry: -abs(entry[1]))[:4]
        by = "; ".join(f"{name} {value:+.1f} sd" for name, value in widest)
        interval = f"{self.low:.2f} to {self.high:.2f}"
        return f"AUC {self.auc:.2f} ({interval}, p = {self.p:.3f}), of patches {self.patch_auc:.2f}; {by}"


def cohort_gap(brains: Sequence[Brain], size: int, patches: int, rng: np.random.Generator, shuffles: int = 200) -> Gap:
    """Measure how well two cohorts are told apart.

    Args:
        brains: both cohorts on one grid, at least five people each
        size: of a patch, in voxels
        patches: per scan
        rng: draws places, folds, resamplings and shuffles
        shuffles: how many random cohorts the p value is made of
    """
    features = np.array([_described(brain, brains, size, patches, rng) for brain in brains])  # (scan, patch, feature)
    real = np.array([brain.real for brain in brains])
    names = [brain.person for brain in brains]
    people, person = np.unique(names, return_inverse=True)
    real_people = np.array([real[person == index].all() for index in range(len(people))])
    if min(real_people.sum(), (~real_people).sum()) < FOLDS:
        raise UserError(f"The gap between two cohorts is measured on at least {FOLDS} people of each.")

    def classified(real_people: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return scores (scan, patch), high for healthy; and which scans are real when these people are."""
        return _scores(features, real_people[person], _folds(real_people, rng)[person]), real_people[person]

    scores, _ = classified(real_people)
    of_scans = scores.mean(axis=1)
    found = auc(of_scans[~real], of_scans[real])
    drawn = [rng.integers(len(real), size=len(real)) for _ in range(RESAMPLED)]
    resampled = [(of_scans[i], real[i]) for i in drawn if 0 < real[i].sum() < len(i)]
    low, high = np.percentile([auc(part[~is_real], part[is_real]) for part, is_real in resampled], [2.5, 97.5])
    chance = []
    for _ in range(shuffles):
        shuffled, as_real = classified(rng.permutation(real_people))
        mixed = shuffled.mean(axis=1)
        chance.append(auc(mixed[~as_real], mixed[as_real]))
    p = (1 + sum(value >= found for value in chance)) / (1 + shuffles)
    means = features.mean(axis=1)
    spread = np.sqrt((means[real].var(axis=0, ddof=1) + means[~real].var(axis=0, ddof=1)) / 2)
    differences = (means[~real].mean(axis=0) - means[real].mean(axis=0)) / np.maximum(spread, 1e-9)
    return Gap(
        found, float(low), float(high), p, auc(scores[~real].ravel(), scores[real].ravel()),
        dict(zip(FEATURES, differences.tolist(), strict=True)),
    )  # fmt: skip


def patch_features(patch: np.ndarray) -> np.ndarray:
    """Return the `FEATURES` of a patch (Z, Y, X) of a normalised scan; sharpness does not depend on contrast."""
    contrast = float(patch.std())
    relative = patch / max(contrast, 1e-6)
    gradients = [float(np.abs(np.diff(relative, axis=axis)).mean()) for axis in range(3)]
    return np.array(
        [*np.percentile(patch, QUANTILES), contrast, *gradients, *(_detail(patch, axis) for axis in range(3))]
    )


def _detail(patch: np.ndarray, axis: int) -> float:
    """Return the logarithm of the share of the variance along an axis that is in structures finer than four voxels."""
    centred = np.moveaxis(patch - patch.mean(axis=axis, keepdims=True), axis, -1)
    power = np.abs(np.fft.rfft(centred * np.hanning(centred.shape[-1]), axis=-1)) ** 2
    fine = np.fft.rfftfreq(centred.shape[-1]) > 0.25
    return float(np.log(power[..., fine].sum() / max(float(power.sum()), 1e-12) + 1e-6))


def _described(brain: Brain, brains: Sequence[Brain], size: int, patches: int, rng: np.random.Generator) -> np.ndarray:
    """Return (patches, features) of a scan, from places where there is no tumour.

    In healthy scans the place of a random patient's tumour is left out: else healthy patches would come from where
    tumours often are, and real ones would not.
    """
    patients = [other.tumour for other in brains if other.real]
    tumour = brain.tumour if brain.real else patients[int(rng.integers(len(patients)))]
    values = brain.image[brain.brain & ~tumour]
    normalised = (brain.image - values.mean()) / max(float(values.std()), 1e-6)
    inside, ill = (
        ndimage.uniform_filter(mask.astype(np.float32), size, mode="constant") for mask in (brain.brain, tumour)
    )
    centres = np.argwhere((inside >= INSIDE) & (ill < 0.5 / size**3))
    corners = centres - size // 2
    corners = corners[((corners >= 0) & (corners + size <= brain.brain.shape)).all(axis=1)]
    if not len(corners):
        raise UserError(f"{brain.person} has no place for a patch of {size} voxels without tumour; take smaller ones.")
    drawn = corners[rng.integers(len(corners), size=patches)]
    return np.array(
        [patch_features(normalised[tuple(slice(start, start + size) for start in corner)]) for corner in drawn]
    )


def _folds(real_people: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a fold for every person, both cohorts spread evenly."""
    folds = np.empty(len(real_people), int)
    for cohort in (real_people, ~real_people):
        folds[cohort] = rng.permutation(np.arange(cohort.sum()) % FOLDS)
    return folds


def _scores(features: np.ndarray, real: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Return (scan, patch): how healthy each patch looks to a classifier that was not trained on its person."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scores = np.empty(features.shape[:2])
    for fold in range(FOLDS):
        seen = folds != fold
        classifier = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))
        classifier.fit(features[seen].reshape(-1, features.shape[2]), np.repeat(~real[seen], features.shape[1]))
        unseen = features[~seen].reshape(-1, features.shape[2])
        scores[~seen] = classifier.decision_function(unseen).reshape(-1, features.shape[1])
    return scores
