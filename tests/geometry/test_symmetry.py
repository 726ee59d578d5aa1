"""The middle of what is deep, in brains that were displaced as far as is known."""

import numpy as np
import pytest

from nnunetv2_tf.geometry.displacement import Displacement, displaced
from nnunetv2_tf.geometry.symmetry import deep_middle, middle_shift
from nnunetv2_tf.standin.anatomy import anatomy, individual
from nnunetv2_tf.tumours.fluid import find_fluid
from nnunetv2_tf.tumours.mass_effect import mass_effect

SHAPE, SPACING = (58, 70, 58), (2.5, 2.5, 2.5)


def brain(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Somebody's, with noise."""
    rng = np.random.default_rng(seed)
    found = individual(anatomy("mni152", SHAPE), rng)
    image = 0.6 * found.grey + 1.0 * found.white + 0.05 * rng.normal(size=SHAPE)
    return np.where(found.brain, image, 0).astype(np.float32), found.brain


def pushed(image: np.ndarray, organ: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray, Displacement]:
    """With a tumour on the side of higher indices, whose place is returned, too."""
    z, y, x = np.indices(SHAPE)
    core = organ & ((z - 32) ** 2 + (y - 36) ** 2 + (x - 42) ** 2 < 11**2)
    fluid = find_fluid(image[None], organ, ["t1n"], SPACING)
    moved = mass_effect(core, np.zeros_like(core), organ, fluid, SPACING, strength, None)
    result = image.copy()
    assert moved.on_case is not None
    box, shift = moved.on_case
    result[box] = displaced(image, box, shift, SPACING, 3)
    return np.where(core, 0.4, result), core, moved


@pytest.mark.parametrize("seed", range(4))
def test_a_known_displacement_is_found_within_a_millimetre(seed):
    image, organ = brain(seed)
    none = np.zeros_like(organ)
    before = middle_shift(image, organ, none, SPACING, 2)  # people are bent by themselves, too
    for strength in (0.5, 1.0):
        after, core, moved = pushed(image, organ, strength)
        there = deep_middle(moved.blocks.mean(organ) > 0.5, moved.blocks.spacing, 2)
        truth = -float(moved.shift[2][there].mean())  # what is now here came from the other side
        assert truth < -1.5 * strength
        assert middle_shift(after, organ, core, SPACING, 2) - before == pytest.approx(truth, abs=1)


def test_any_axis_may_go_from_half_to_half_and_higher_indices_count_up():
    image, organ = brain(1)
    after, core, _ = pushed(image, organ, 1.0)
    found = middle_shift(after, organ, core, SPACING, 2)
    assert found < -1
    image, whole, tumour = (np.moveaxis(volume, 2, 0) for volume in (after, organ, core))
    assert middle_shift(image, whole, tumour, SPACING, 0) == found
    image, whole, tumour = (volume[..., ::-1] for volume in (after, organ, core))
    assert middle_shift(image, whole, tumour, SPACING, 2) == pytest.approx(-found, abs=0.1)


def test_what_has_no_depth_or_no_symmetry_has_no_middle():
    image, organ = brain(0)
    nothing = np.zeros_like(organ)
    assert np.isnan(middle_shift(image, nothing, nothing, SPACING, 2))
    assert np.isnan(middle_shift(image, organ, nothing, (0.5, 0.5, 0.5), 2))
    noise = np.random.default_rng(0).normal(size=SHAPE)
    assert np.isnan(middle_shift(noise, organ, nothing, SPACING, 2))
    assert np.isnan(middle_shift(image, organ, organ, SPACING, 2))


def test_the_middle_is_a_plane_that_is_deep():
    _, organ = brain(0)
    found = deep_middle(organ, SPACING, 2)
    (column,) = np.flatnonzero(found.any(axis=(0, 1)))
    columns = np.flatnonzero(organ.any(axis=(0, 1)))
    assert abs(column - (columns[0] + columns[-1]) / 2) <= 0.5
    assert found[..., column].sum() < organ[..., column].sum()
    np.testing.assert_array_equal(np.moveaxis(deep_middle(np.moveaxis(organ, 2, 1), SPACING, 1), 1, 2), found)
    assert not deep_middle(np.zeros_like(organ), SPACING, 2).any()
