"""Mass effect: what moves, how far, and what does not."""

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from nnunetv2_tf.geometry.blocks import Blocks
from nnunetv2_tf.geometry.displacement import Displacement
from nnunetv2_tf.geometry.flow import least_jacobian
from nnunetv2_tf.tumours.mass_effect import FALX_DEEP, FLOW_GRID, LEAST_JACOBIAN, mass_effect
from tests.tumours.hosts import SHAPE, ball, organ

SPACING = (3.0, 3.0, 3.0)
CORE, VENTRICLE = ball((20, 24, 32), 5), ball((20, 24, 24), 3)


def pushed(
    strength: float, fluid: np.ndarray | None = VENTRICLE, falx: bool = False, core: np.ndarray = CORE
) -> Displacement:
    middle = None
    if falx:
        blocks = Blocks.near(FLOW_GRID, SPACING, SHAPE)
        x = (blocks.to_fine[2, 2] * np.arange(blocks.shape[2]) + blocks.to_fine[2, 3] - 21.5) * 3
        middle = np.broadcast_to(np.abs(x), blocks.shape)
    return mass_effect(core, np.zeros_like(core), organ(), fluid, SPACING, strength, middle)


def on_grid(moved: Displacement) -> np.ndarray:
    """(3, Z, Y, X) mm."""
    whole = np.zeros((3, *SHAPE))
    found = moved.on(np.eye(4), SHAPE)
    if found is not None:
        whole[(slice(None), *found[0])] = found[1]
    return whole


def test_tissue_is_pushed_away_from_the_core_and_further_by_a_stronger_one():
    largest = [pushed(strength).largest for strength in (0.0, 0.3, 0.6, 1.2)]
    assert largest[0] == 0
    assert (np.diff(largest) > 0.5).all()
    shift, offset = on_grid(pushed(0.6)), np.indices(SHAPE) - np.reshape((20, 24, 32), (3, 1, 1, 1))
    near = ball((20, 24, 32), 7) & ~CORE
    assert ((shift * offset).sum(axis=0)[near] < 0).mean() > 0.98  # what is here was nearer to the core


def test_the_surface_and_what_is_outside_are_still():
    shift = on_grid(pushed(1.2, core=ball((20, 24, 38), 4)))
    assert shift.any()
    assert not shift[:, ~organ()].any()
    inner = ball((20, 24, 21.5), 100) & organ()
    rim = inner & ~np.roll(organ(), 1, axis=2)
    assert np.abs(shift[:, rim]).max() < 0.5


def test_fluid_gives_way_first():
    with_fluid, without = on_grid(pushed(1.0)), on_grid(pushed(1.0, fluid=None))
    place = (slice(None), 20, 24, 27)  # between core and ventricle
    assert with_fluid[place][2] > 1.2 * without[place][2]
    beyond = (slice(None), 20, 24, 20)
    assert abs(with_fluid[beyond][2]) < with_fluid[place][2]


def test_little_crosses_the_falx_and_what_is_deeper_shifts():
    depth = np.asarray(distance_transform_edt(organ(), sampling=SPACING))[:, :, 21]
    core = ball((20, 14, 29), 5)
    free, damped = (
        np.abs(on_grid(pushed(1.0, fluid=None, falx=falx, core=core))[2][:, :, 21]) for falx in (False, True)
    )
    there, deeper = (depth > 8) & (depth < FALX_DEEP - 6), depth > FALX_DEEP + 4
    assert damped[there].mean() < 0.85 * free[there].mean()
    assert damped[deeper].mean() > free[deeper].mean()


@pytest.mark.parametrize("strength", [0.5, 1.5])
def test_it_never_folds(strength):
    rng = np.random.default_rng(int(10 * strength))
    for _ in range(6):
        core = ball(tuple(rng.uniform((10, 12, 10), (30, 36, 34))), rng.uniform(2, 9)) & organ()
        moved = pushed(strength, core=core)
        assert least_jacobian(moved.shift, moved.blocks.spacing) >= LEAST_JACOBIAN
        assert least_jacobian(on_grid(moved), SPACING) > 0


def test_edema_pushes_less_than_a_core_of_its_size():
    edema = ball((20, 24, 32), 8) & ~CORE
    alone = mass_effect(np.zeros_like(CORE), edema, organ(), VENTRICLE, SPACING, 1.0, None).largest
    as_core = pushed(1.0, core=edema).largest
    assert 0.3 * as_core < alone < 0.8 * as_core


def test_a_slice_is_too_thin_to_flow_in():
    flat = (slice(20, 21),)
    moved = mass_effect(CORE[flat], np.zeros_like(CORE[flat]), organ()[flat], None, SPACING, 1.0, None)
    assert (moved.largest, moved.on_case) == (0.0, None)
