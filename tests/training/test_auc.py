"""Area under the ROC curve: against scipy, with ties."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from nnunetv2_tf.training.auc import auc


def test_auc_against_ranks():
    rng = np.random.default_rng(0)
    real, made = rng.integers(0, 6, 15) + 1.0, rng.integers(0, 6, 20) + 0.0
    expected = mannwhitneyu(real, made).statistic / (15 * 20)
    assert auc(real, made) == pytest.approx(expected)
    assert auc([], [0.0, 0.0, 0.0]) == 0.5


def test_auc_against_counting():
    rng = np.random.default_rng(0)
    scores, positive = rng.integers(0, 5, 30).astype(float), rng.random(30) < 0.4
    pairs = [(one > other) + 0.5 * (one == other) for one in scores[positive] for other in scores[~positive]]
    assert auc(scores[positive], scores[~positive]) == pytest.approx(np.mean(pairs))
