"""Judges find what differs in tumours they have not seen, and nothing where nothing does."""

import numpy as np
import pytest

from nnunetv2_tf.quality.fresh_judge import judged_pairs
from nnunetv2_tf.training.judge import JudgeConfig
from tests.quality.spots import both

SHORT = JudgeConfig(size=12, features=(6, 6), steps=40, batch=8, asked=4)


def test_a_brighter_tumour_is_found():
    found = judged_pairs(both(depth=1.0), 0, 2, SHORT)
    assert found.shape == (12, 12)
    assert np.nanmean(found) > 0.9


def test_without_a_difference_nothing_is_found():
    assert np.nanmean(judged_pairs(both(), 0, 3, SHORT)) == pytest.approx(0.5, abs=0.25)


def test_the_same_seed_gives_the_same_answers():
    first, again, other = (judged_pairs(both(6), seed, 1, SHORT) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other, equal_nan=True)
