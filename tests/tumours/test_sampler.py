"""What every drawn tumour is, whatever is drawn; and that what is asked for is given."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from nnunetv2_tf.tumours.bank import Lesion, cut_out
from nnunetv2_tf.tumours.constraints import TumourConstraints
from nnunetv2_tf.tumours.place import HostAnatomy, PlacedTumour, place_tumours
from nnunetv2_tf.tumours.recipe import SIZES, STRONGEST
from nnunetv2_tf.tumours.sampler import CROSSES, SPREAD, USUAL_MASS_EFFECT, PlacementError, TumourSampler
from nnunetv2_tf.tumours.sampling_config import AS_PUBLISHED, SamplingConfig
from nnunetv2_tf.tumours.warp import forward
from tests.tumours.hosts import GRID, MIDLINE, SHAPE, ball, bank, bank_of, host, lesion_map, organ

NAMES = {1: "NCR", 2: "ED", 3: "ET"}
BANK = bank()
FREE, DEFAULT = TumourConstraints(), SamplingConfig()


def drawn(
    number: int,
    constraints: TumourConstraints = FREE,
    config: SamplingConfig = DEFAULT,
    at: HostAnatomy | None = None,
    seed: int = 0,
) -> list[PlacedTumour]:
    sampler = TumourSampler(BANK, config, constraints)
    return [sampler.sample(at or host(), np.random.default_rng([seed, index])) for index in range(number)]


@pytest.mark.parametrize("config", [DEFAULT, AS_PUBLISHED])
def test_five_hundred_draws(config):
    at = host(fluid=ball((20, 24, 21.5), 5))
    for placed in drawn(500 if config == DEFAULT else 100, config=config, at=at):
        label, tumours = placed.label(SHAPE), placed.tumours
        donors = [BANK.by_donor[tumour.donor] for tumour in tumours]
        assert set(np.unique(label)) == {0}.union(*(lesion.classes for lesion in donors))  # no class lost, none new
        assert not label[~at.organ].any()
        assert min(placed.kept) >= 0.8
        assert placed.lost == ()
        assert len({tumour.donor for tumour in tumours}) == len(tumours)
        for tumour in tumours:
            assert min(tumour.scale) > 0.7 - 0.1
            assert max(tumour.scale) < 1.3 + 0.15
            assert 0.69 < np.prod(tumour.scale) ** (1 / 3) < 1.31
            assert max(map(abs, tumour.rotation)) <= 15
        if config == DEFAULT:
            assert not (label[at.fluid] == 2).any()
            assert max(placed.across) <= CROSSES  # no donor crosses it
        again = place_tumours(tumours, BANK, at)
        assert again is not None
        np.testing.assert_array_equal(again.label(SHAPE), label)  # a line, read again, gives the same


def test_the_same_seed_draws_the_same():
    for placed, again in zip(drawn(20), drawn(20), strict=True):
        assert placed.tumours == again.tumours
        np.testing.assert_array_equal(placed.lesion.label, again.lesion.label)
    assert [placed.tumours for placed in drawn(20)] != [placed.tumours for placed in drawn(20, seed=1)]


def test_two_donors_about_every_fifth_time():
    counted = Counter(len(placed.tumours) for placed in drawn(300))
    assert 30 < counted[2] < 90


CONTROLS = {
    "volume": (TumourConstraints(volume_ml=(15.0, 25.0)), lambda lesion: 15 <= lesion.volume <= 25),
    "left": (TumourConstraints(side="left"), lambda lesion: lesion.centre[0] > MIDLINE),
    "right": (TumourConstraints(side="right"), lambda lesion: lesion.centre[0] < MIDLINE),
    "place": (
        TumourConstraints(center=(-25.0, 6.0, 3.0), radius=8.0),
        lambda lesion: np.linalg.norm(lesion.centre - (-25.0, 6.0, 3.0)) <= 8,
    ),
    "one piece": (TumourConstraints(components=(1, 1)), lambda lesion: lesion.pieces == 1),
    "two pieces": (TumourConstraints(components=(2, 2)), lambda lesion: lesion.pieces == 2),
    "fraction": (
        TumourConstraints(fractions={3: (0.2, 0.3)}),
        lambda lesion: 0.2 <= lesion.classes[3] / lesion.volume <= 0.3,
    ),
}


@pytest.mark.parametrize("name", CONTROLS)
def test_two_hundred_draws_are_as_asked_for(name):
    controls, met = CONTROLS[name]
    controls.check_possible(BANK, DEFAULT, NAMES)
    assert all(met(placed.lesion) for placed in drawn(200, controls))


def test_tumours_smaller_than_any_donors_have_what_classes_there_is_room_for():
    """0.1 ml are four voxels here: the core is less than one of them, and may vanish; the shell is more than two."""
    asked = TumourConstraints(volume_ml=(0.1, 0.8))
    asked.check_possible(BANK, DEFAULT, NAMES)
    placed = drawn(60, asked)
    assert all(0.1 <= one.lesion.volume <= 0.8 for one in placed)
    assert any(1 in one.lost for one in placed)
    for one in placed:
        sizes = [float(np.prod(tumour.scale)) for tumour in one.tumours]
        for value in one.lost:
            left = sum(
                BANK.by_donor[tumour.donor].classes[value] * size
                for tumour, size in zip(one.tumours, sizes, strict=True)
            )
            assert left < 2 * 0.027


def test_small_tumours_stay_within_what_a_recipe_may_say():
    asked = TumourConstraints(volume_ml=(0.03, 0.1))
    for placed in drawn(60, asked):
        for tumour in placed.tumours:
            assert min(tumour.scale) >= SIZES[0]


def test_part_of_a_cohort_is_scaled_as_the_whole_of_it():
    """A host's own tumour, or all others, decide nothing: else lines of a recipe would be drawn by several rules."""
    volumes = sorted(lesion.volume for lesion in BANK.lesions)
    asked = TumourConstraints(volume_ml=(0.36 * volumes[0], 0.9 * volumes[0]))
    whole = TumourSampler(BANK, DEFAULT, asked, reach_of_cohort=asked.reach(BANK, DEFAULT))
    others = [lesion.donor for lesion in BANK.lesions if lesion.volume > volumes[0]]
    assert TumourSampler(BANK.restricted_to(others), DEFAULT, asked).reach.beyond
    assert not replace(whole, bank=BANK.restricted_to(others)).reach.beyond


def test_of_one_donor_no_two_are_made():
    sampler = TumourSampler(bank_of(BANK.lesions[:1]), DEFAULT, FREE)
    assert all(len(sampler.sample(host(), np.random.default_rng(index)).tumours) == 1 for index in range(30))


def test_donors_with_the_pieces_asked_for_are_chosen():
    apart = lesion_map((20, 16, 30), 4) + lesion_map((20, 30, 30), 4)
    cohort = bank_of([*BANK.lesions, cut_out("two", apart, GRID)])
    sampler = TumourSampler(cohort, DEFAULT, TumourConstraints(components=(2, 2)))
    for index in range(30):
        placed = sampler.sample(host(), np.random.default_rng(index))
        assert [tumour.donor for tumour in placed.tumours] == ["two"]
        assert placed.lesion.pieces == 2


def test_a_tumour_is_mirrored_when_it_changes_sides_and_only_then():
    for placed in drawn(100):
        for tumour in placed.tumours:
            lesion = BANK.by_donor[tumour.donor]
            way = forward(tumour, lesion, MIDLINE)
            centre = way[:3, :3] @ lesion.centre + way[:3, 3]
            assert tumour.flip == ((centre[0] > MIDLINE) != (lesion.centre[0] > MIDLINE))


def test_large_tumours_go_where_large_ones_are():
    """Small ones lie low here, large ones high; places are exchanged among those of a size."""
    low = [cut_out(f"small_{x}", lesion_map((12, 24, x), 3), GRID) for x in (13, 15, 28, 30)]
    high = [cut_out(f"large_{x}", lesion_map((25, 24, x), 7), GRID) for x in (13, 14, 29, 30)]
    sampler = TumourSampler(bank_of([*low, *high]), replace(DEFAULT, combine=0.0), FREE)
    heights = {"small": [], "large": []}
    for index in range(60):
        placed = sampler.sample(host(), np.random.default_rng(index))
        heights[placed.tumours[0].donor.split("_")[0]].append(placed.lesion.centre[2])
    small, large = ((centre * 3 - 60) for centre in (12, 25))
    assert np.median(heights["small"]) == pytest.approx(small, abs=6)
    assert np.median(heights["large"]) == pytest.approx(large, abs=6)
    assert max(heights["small"]) < min(heights["large"]) + 10


def test_who_crosses_the_midline_crosses_it_no_further():
    across = cut_out("across", lesion_map((20, 24, 24.5), 6), GRID)
    beside = cut_out("beside", lesion_map((20, 24, 12), 6), GRID)
    assert 0.1 < across.across(MIDLINE) < 0.3
    sampler = TumourSampler(bank_of([across, beside]), replace(DEFAULT, combine=0.0), FREE)
    draws = [sampler.sample(host(), np.random.default_rng(index)) for index in range(80)]
    donors = {"across": across.across(MIDLINE), "beside": 0.0}
    assert all(placed.across[0] <= donors[placed.tumours[0].donor] + CROSSES for placed in draws)
    assert any(placed.across[0] > CROSSES for placed in draws)


def test_tumours_grow_by_what_the_edge_takes():
    """Volumes near the edge stay those of the cohort."""
    edge = bank_of([cut_out(f"case_{x}", lesion_map((20, 24, x), 6), GRID) for x in (8, 9, 36, 37)])
    grown, not_grown = (
        np.median([sampler.sample(host(), np.random.default_rng(index)).lesion.volume for index in range(60)])
        for sampler in (
            TumourSampler(edge, replace(DEFAULT, combine=0.0), FREE),
            TumourSampler(edge, replace(DEFAULT, combine=0.0, scale=(0.7, 1.0)), FREE),
        )
    )
    assert abs(grown / np.median([lesion.volume for lesion in edge.lesions]) - 1) < 0.1
    assert not_grown < grown


def test_a_host_without_room_says_so():
    tiny = HostAnatomy("tiny", ball((20, 24, 21.5), 3), None, GRID)
    with pytest.raises(PlacementError, match="it has no organ"):
        TumourSampler(BANK, DEFAULT, FREE).sample(
            HostAnatomy("empty", organ() & False, None, GRID), np.random.default_rng(0)
        )
    with pytest.raises(PlacementError, match="falls? (outside|into) the organ"):
        TumourSampler(BANK, DEFAULT, FREE).sample(tiny, np.random.default_rng(0))


def test_volumes_classes_and_sides_follow_the_cohort():
    """And a sampler that makes everything larger does not."""
    cohort = bank(number=24)

    def made(number: int, constraints: TumourConstraints) -> list[Lesion]:
        sampler = TumourSampler(cohort, DEFAULT, constraints)
        return [sampler.sample(host(), np.random.default_rng([3, index])).lesion for index in range(number)]

    placed = made(400, FREE)
    assert apart(placed, cohort.lesions) < 0.2
    assert apart(made(100, TumourConstraints(volume_ml=(25.0, 60.0))), cohort.lesions) > 0.2
    left, expected = (np.mean([lesion.centre[0] > MIDLINE for lesion in side]) for side in (placed, cohort.lesions))
    assert left == pytest.approx(expected, abs=0.08)


def apart(lesions: Sequence[Lesion], cohort: Sequence[Lesion]) -> float:
    """Largest relative difference of the 10, 50, 90 % quantiles of volume and of class fractions."""

    def measured(lesions: Sequence[Lesion]) -> np.ndarray:
        rows = [
            [lesion.volume, *(lesion.classes.get(value, 0) / lesion.volume for value in NAMES)] for lesion in lesions
        ]
        return np.percentile(rows, [10, 50, 90], axis=0)

    return float(np.abs(measured(lesions) / measured(cohort) - 1).max())


def test_mass_effects_are_as_asked_for_or_like_patients_or_usual():
    rng = np.random.default_rng(0)
    growing = replace(DEFAULT, mass_effect=True)
    assert TumourSampler(BANK, DEFAULT, FREE, (0.5,)).strength(rng) == 0
    like = np.array([TumourSampler(BANK, growing, FREE, (0.0, 0.4)).strength(rng) for _ in range(400)])
    assert (like == 0).mean() == pytest.approx(0.5, abs=0.08)
    assert np.median(like[like > 0]) == pytest.approx(0.4, rel=0.08)
    assert np.log(like[like > 0]).std() == pytest.approx(SPREAD, rel=0.15)
    assert TumourSampler(BANK, growing, FREE, (STRONGEST,)).strength(rng) <= STRONGEST
    usual = [TumourSampler(BANK, growing, FREE).strength(rng) for _ in range(200)]
    assert min(usual) >= USUAL_MASS_EFFECT[0]
    assert USUAL_MASS_EFFECT[1] * 0.9 < max(usual) <= USUAL_MASS_EFFECT[1]
    asked = TumourSampler(BANK, growing, TumourConstraints(mass_effect=(1.0, 1.2)), (0.1,))
    assert 1.0 <= asked.strength(rng) <= 1.2


def test_what_is_done_to_tumours_is_done_as_often_as_is_said():
    config = replace(DEFAULT, often=0.5, combine=0.0, matched=False)
    tumours = [placed.tumours[0] for placed in drawn(60, config=config)]
    for done in (
        [tumour.scale != (1.0, 1.0, 1.0) for tumour in tumours],
        [tumour.rotation != (0.0, 0.0, 0.0) for tumour in tumours],
        [tumour.elastic_seed is not None for tumour in tumours],
    ):
        assert 15 <= sum(done) <= 45
