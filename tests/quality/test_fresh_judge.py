"""Judges find what differs in tumours they have not seen, and nothing where nothing does."""

import numpy as np
import pytest

from nnunetv2_tf.quality import fresh_judge
from nnunetv2_tf.quality.fresh_judge import judged_pairs
from nnunetv2_tf.training.judge import JudgeConfig
from tests.quality.spots import both, spot

SHORT = JudgeConfig(size=12, features=(6, 6), steps=40, batch=8, asked=4)


def test_a_brighter_tumour_is_found():
    found = judged_pairs(both(depth=1.0), 0, 2, SHORT)
    assert found.shape == (12, 12)
    assert np.nanmean(found) > 0.9


def test_without_a_difference_nothing_is_found():
    assert np.nanmean(judged_pairs(both(), 0, 3, SHORT)) == pytest.approx(0.5, abs=0.25)


def test_nobody_is_asked_about_a_tumour_of_somebody_who_taught(monkeypatch):
    """Hosts with four donors each: a judge that was taught a host knows it again, and so that the tumour is made."""
    real = [spot(index, True, (f"patient {index}",)) for index in range(12)]
    made = [spot(50 + index, False, (f"host {index % 6}", f"patient {index % 12}")) for index in range(24)]
    images = {one.image.tobytes(): set(one.groups) for one in [*real, *made]}
    asked_about = []

    def watched(seen, made, asked, rng, config):
        taught = set().union(*(images[one.image.tobytes()] for one in seen))
        asked_about.extend(images[one.image.tobytes()] for one in asked)
        assert not any(taught & images[one.image.tobytes()] for one in asked)
        assert {True, False} == set(made)
        return rng.normal(size=len(asked))

    monkeypatch.setattr(fresh_judge, "judged", watched)
    found = judged_pairs([*real, *made], 0, 5, SHORT)
    assert asked_about
    assert (~np.isnan(found)).mean() > 0.2


def test_the_same_seed_gives_the_same_answers():
    first, again, other = (judged_pairs(both(6), seed, 1, SHORT) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other, equal_nan=True)
