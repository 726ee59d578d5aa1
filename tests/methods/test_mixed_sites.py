"""Sites of several kinds of hosts."""

from collections.abc import Collection

import numpy as np
import pytest
import torch

from nnunetv2_tf.methods.base import NoRoomError, Site
from nnunetv2_tf.methods.mixed_sites import MixedSites


def site() -> Site:
    volume = torch.zeros(1, 1, 1)
    return Site(volume[None], volume.short(), volume > 0, volume.short(), (), (1.0, 1.0, 1.0), volume > 0, 1)


SITES = {name: site() for name in ("healthy", "free side", "unlabelled")}


def always(name: str):
    return lambda _, __=(): SITES[name]


def full(_: np.random.Generator, __: Collection[str] = ()) -> Site:
    raise NoRoomError("no room")


@pytest.mark.parametrize(("first", "second"), [(0.0, 0.0), (0.3, 0.5), (1.0, 0.0), (0.0, 1.0)])
def test_each_kind_has_its_share(first, second):
    mixed = MixedSites(always("healthy"), ((always("free side"), first), (always("unlabelled"), second)))
    drawn = [mixed(np.random.default_rng(seed)) for seed in range(400)]
    for name, share in (("free side", first), ("unlabelled", second), ("healthy", 1 - first - second)):
        assert sum(one is SITES[name] for one in drawn) == pytest.approx(400 * share, abs=40 if 0 < share < 1 else 0)


def test_a_kind_that_is_not_there_leaves_its_share_to_healthy_hosts():
    mixed = MixedSites(always("healthy"), ((None, 0.5), (always("unlabelled"), 0.5)))
    drawn = [mixed(np.random.default_rng(seed)) for seed in range(200)]
    assert sum(one is SITES["healthy"] for one in drawn) == pytest.approx(100, abs=25)
    assert sum(one is SITES["unlabelled"] for one in drawn) == pytest.approx(100, abs=25)


def test_where_there_is_no_room_a_healthy_host_serves():
    assert MixedSites(always("healthy"), ((full, 1.0),))(np.random.default_rng(0)) is SITES["healthy"]


def test_everybody_is_told_which_cases_are_not_used():
    seen = []
    noted = lambda _, without=(): seen.append(without) or SITES["healthy"]  # noqa: E731
    MixedSites(noted, ((noted, 0.5),), frozenset(["case"]))(np.random.default_rng(0))
    MixedSites(noted, (), frozenset(["case"]))(np.random.default_rng(0))
    assert seen == [frozenset(["case"])] * 2
