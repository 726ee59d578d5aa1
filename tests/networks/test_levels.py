"""What of plans' networks ours are made by. Depth itself is nnU-Net's rule, tested with the networks."""

import pytest

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.networks.levels import check_patch, features_of_levels, largest_patch
from tests.scenes import Built


def test_the_plans_patch_is_cut_down(scene: Built):
    size = [int(extent) for extent in scene.plan.manager.patch_size]
    assert largest_patch(scene.plan, 10_000) == size
    assert largest_patch(scene.plan, 6) == [min(extent, 6) for extent in size]


def test_features_go_on_with_the_last(scene: Built):
    own = tuple(scene.plan.manager.network_arch_init_kwargs["features_per_stage"])
    assert features_of_levels(scene.plan, None, len(own) + 2) == (*own, own[-1], own[-1])
    assert features_of_levels(scene.plan, (3, 5), 4) == (3, 5, 5, 5)
    assert features_of_levels(scene.plan, (3, 5, 7), 2) == (3, 5, 7)


def test_a_patch_that_cannot_be_halved_is_refused(scene: Built):
    check_patch(scene.plan, 16, 3, "Example")
    with pytest.raises(UserError, match="too small for Example, which has to halve it once"):
        check_patch(scene.plan, 6, 3, "Example")
