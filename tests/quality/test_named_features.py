"""Named figures say what their names say."""

import numpy as np
import pytest

from nnunetv2_tf.quality.named_features import PROFILE, named_features, profile
from tests.quality.spots import spot


def figures(**changes) -> dict[str, float]:
    return named_features(spot(0, True, ("a",), **changes), (1, 2, 3), ("t1n",))


def test_brightness_and_what_is_missing():
    usual = figures(depth=-1.5, noise=0.1)
    assert usual["mean 1"] == pytest.approx(-1.5, abs=0.1)
    assert usual["sd 1"] == pytest.approx(0.1, abs=0.03)
    assert usual["mean around"] == pytest.approx(0, abs=0.15)
    assert np.isnan(usual["mean 3"])
    assert usual["edge step"] > 0.5
    assert figures(depth=1.5)["edge step"] < -0.5


def test_edges_grain_and_shape():
    soft, hard = figures(noise=0.05, edge=3.0), figures(noise=0.05, edge=0.3)
    assert hard["edge gradient"] > 1.5 * soft["edge gradient"]
    assert figures(noise=0.05)["grain inside"] < figures(noise=0.6)["grain inside"]
    assert 1.2 < figures()["compactness"] < 1.9  # a ball of voxels


def test_channels_have_figures_of_their_own():
    one = spot(0, True, ("a",))
    double = type(one)(**{**one.__dict__, "image": np.concatenate([one.image, 2 * one.image])})
    found = named_features(double, (1,), ("t1n", "t2w"))
    assert found["mean 1 t2w"] == pytest.approx(2 * found["mean 1 t1n"])


def test_the_profile_goes_from_inside_to_outside():
    one = spot(0, True, ("a",), noise=0.0, radius=7)
    found = profile(one.image[0], one)
    assert len(found) == len(PROFILE) - 1
    assert np.all(np.diff(found[~np.isnan(found)]) > -1e-6)
    assert found[0] == pytest.approx(-1, abs=0.1)
    assert found[-1] == pytest.approx(0, abs=0.1)
