"""What every drawn tumour is, whatever is drawn; and that what is asked for is given."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from nnunetv2_tf.errors import UserError
from nnunetv2_tf.tumours.bank import Lesion, cut_out
from nnunetv2_tf.tumours.drawing import CROSSES, Draw, Unplaceable
from nnunetv2_tf.tumours.hosting import Host, host_tumours
from nnunetv2_tf.tumours.recipe import Tumour
from nnunetv2_tf.tumours.settings import PRESETS, Controls
from nnunetv2_tf.tumours.transform import forward
from tests.tumours.hosts import GRID, MIDLINE, SHAPE, ball, bank, bank_of, host, lesion_map, organ

NAMES = {1: "NCR", 2: "ED", 3: "ET"}
BANK = bank()
FREE = Controls()


def drawn(number: int, controls: Controls = FREE, preset: str = "default", at: Host | None = None, seed: int = 0):
    draw = Draw(BANK, PRESETS[preset], controls)
    return [draw.tumours(at or host(), np.random.default_rng([seed, index])) for index in range(number)]


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_five_hundred_draws(preset):
    at = host(fluid=ball((20, 24, 21.5), 5))
    for tumours, hosted in drawn(500 if preset == "default" else 100, preset=preset, at=at):
        label = hosted.label(SHAPE)
        donors = [BANK.by_donor[tumour.donor] for tumour in tumours]
        assert set(np.unique(label)) == {0}.union(*(lesion.classes for lesion in donors))  # no class lost, none new
        assert not label[~at.organ].any()
        assert min(hosted.kept) >= 0.8
        assert hosted.lost == ()
        assert len({tumour.donor for tumour in tumours}) == len(tumours)
        for tumour in tumours:
            assert min(tumour.scale) > 0.7 - 0.1
            assert max(tumour.scale) < 1.3 + 0.15
            assert 0.69 < np.prod(tumour.scale) ** (1 / 3) < 1.31
            assert max(map(abs, tumour.rotation)) <= 15
        if preset == "default":
            assert not (label[at.fluid] == 2).any()
            assert max(hosted.across) <= CROSSES  # no donor crosses it
        again = host_tumours(tumours, BANK, at)
        assert again is not None
        np.testing.assert_array_equal(again.label(SHAPE), label)  # a line, read again, gives the same


def test_the_same_seed_draws_the_same():
    for (one, placed), (other, placed_again) in zip(drawn(20), drawn(20), strict=True):
        assert one == other
        np.testing.assert_array_equal(placed.lesion.label, placed_again.lesion.label)
    assert [tumours for tumours, _ in drawn(20)] != [tumours for tumours, _ in drawn(20, seed=1)]


def test_two_donors_about_every_fifth_time():
    counted = Counter(len(tumours) for tumours, _ in drawn(300))
    assert 30 < counted[2] < 90


def test_overlap_goes_by_priority():
    """Two lesions on the same place: ET over NCR over ED, as dataset.json says."""
    tumours = (Tumour("case_0"), Tumour("case_2", shift=tuple((BANK.lesions[0].centre - BANK.lesions[2].centre)[::-1])))
    alone = [host_tumours((tumour,), BANK, host()) for tumour in tumours]
    together = host_tumours(tumours, BANK, host())
    assert together is not None
    one, other = (hosted.label(SHAPE) for hosted in alone if hosted is not None)
    rank = np.array([0, 2, 1, 3])
    np.testing.assert_array_equal(together.label(SHAPE), np.where(rank[one] >= rank[other], one, other))


def test_diffuse_classes_leave_fluid_and_cores_displace_it():
    lesion = BANK.lesions[0]
    centre = np.linalg.solve(GRID, [*lesion.centre, 1])[:3]
    wet = ball(tuple(centre), 3.5) | ball((centre[0], centre[1] + 5, centre[2]), 2)
    plain, hosted = (host_tumours((Tumour("case_0"),), BANK, host(fluid=fluid)) for fluid in (None, wet))
    assert plain is not None
    assert hosted is not None
    expected = np.where(wet & (plain.label(SHAPE) == 2), 0, plain.label(SHAPE))
    np.testing.assert_array_equal(hosted.label(SHAPE), expected)
    assert hosted.in_fluid == pytest.approx((wet & (plain.label(SHAPE) == 2)).sum() / (plain.label(SHAPE) > 0).sum())
    assert hosted.kept == plain.kept == (1.0,)


CONTROLS = {
    "volume": (Controls(volume_ml=(15.0, 25.0)), lambda lesion: 15 <= lesion.volume <= 25),
    "left": (Controls(side="left"), lambda lesion: lesion.centre[0] > MIDLINE),
    "right": (Controls(side="right"), lambda lesion: lesion.centre[0] < MIDLINE),
    "place": (
        Controls(center=(-25.0, 6.0, 3.0), radius=8.0),
        lambda lesion: np.linalg.norm(lesion.centre - (-25.0, 6.0, 3.0)) <= 8,
    ),
    "one piece": (Controls(components=(1, 1)), lambda lesion: lesion.pieces == 1),
    "two pieces": (Controls(components=(2, 2)), lambda lesion: lesion.pieces == 2),
    "fraction": (Controls(fractions={3: (0.2, 0.3)}), lambda lesion: 0.2 <= lesion.classes[3] / lesion.volume <= 0.3),
}


@pytest.mark.parametrize("name", CONTROLS)
def test_two_hundred_draws_are_as_asked_for(name):
    controls, met = CONTROLS[name]
    controls.refuse_impossible(BANK, PRESETS["default"], NAMES)
    assert all(met(hosted.lesion) for _, hosted in drawn(200, controls))


@pytest.mark.parametrize(
    ("controls", "sentence"),
    [
        (Controls(volume_ml=(500.0, 600.0)), r"-volume_ml 500 600 cannot be made of tumours of [\d.]+ to [\d.]+ ml"),
        (Controls(volume_ml=(5.0, 2.0)), "-volume_ml takes the least and the most, not 5 2"),
        (
            Controls(components=(5, 7)),
            "-components 5 7 cannot be made of tumours of 1 to 1 pieces, two of them at most",
        ),
        (
            Controls(fractions={3: (0.9, 1.0)}),
            "No tumour of this fold has -class_fraction ET 0.9 to 1; they have ET 0.",
        ),
        (Controls(fractions={3: (0.9, 1.2)}), "-class_fraction ET takes shares between 0 and 1"),
        (Controls(center=(0.0, 0.0, 0.0)), "-center and -radius go together"),
        (Controls(center=(0.0, 0.0, 0.0), radius=0.0), "-radius one above 0"),
        (Controls(center=(0.0, float("nan"), 0.0), radius=5.0), "-center takes three numbers in mm"),
        (Controls(center=(500.0, 6.0, 3.0), radius=8.0), "-center 500 6 3 lies outside the brains"),
        (Controls(center=(-25.0, 6.0, 3.0), radius=8.0, side="left"), "-radius 8 has nothing on the left side"),
        (Controls(volume_ml=(20.0, 20.0)), "-volume_ml 20 20 leaves no room; allow a tenth more"),
    ],
)
def test_what_no_donor_can_be_is_refused_before_work_begins(controls, sentence):
    with pytest.raises(UserError, match=sentence):
        controls.refuse_impossible(BANK, PRESETS["default"], NAMES)


def test_of_one_donor_no_two_are_made():
    alone = bank_of(BANK.lesions[:1])
    with pytest.raises(UserError, match="-components 2 2 cannot be made of tumours of 1 to 1 pieces"):
        Controls(components=(2, 2)).refuse_impossible(alone, PRESETS["default"], NAMES)
    draw = Draw(alone, PRESETS["default"], FREE)
    assert all(len(draw.tumours(host(), np.random.default_rng(index))[0]) == 1 for index in range(30))


def test_donors_with_the_pieces_asked_for_are_chosen():
    apart = lesion_map((20, 16, 30), 4) + lesion_map((20, 30, 30), 4)
    several = bank_of([*BANK.lesions, cut_out("two", apart, GRID)])
    draw = Draw(several, PRESETS["default"], Controls(components=(2, 2)))
    for index in range(30):
        tumours, hosted = draw.tumours(host(), np.random.default_rng(index))
        assert [tumour.donor for tumour in tumours] == ["two"]
        assert hosted.lesion.pieces == 2


def test_a_tumour_is_mirrored_when_it_changes_sides_and_only_then():
    for tumours, _ in drawn(100):
        for tumour in tumours:
            lesion = BANK.by_donor[tumour.donor]
            way = forward(tumour, lesion, MIDLINE)
            centre = way[:3, :3] @ lesion.centre + way[:3, 3]
            assert tumour.flip == ((centre[0] > MIDLINE) != (lesion.centre[0] > MIDLINE))


def test_large_tumours_go_where_large_ones_are():
    """Small ones lie low here, large ones high; places are exchanged among those of a size."""
    low = [cut_out(f"small_{x}", lesion_map((12, 24, x), 3), GRID) for x in (13, 15, 28, 30)]
    high = [cut_out(f"large_{x}", lesion_map((25, 24, x), 7), GRID) for x in (13, 14, 29, 30)]
    draw = Draw(bank_of([*low, *high]), replace(PRESETS["default"], combine=0.0), FREE)
    heights = {"small": [], "large": []}
    for index in range(60):
        tumours, hosted = draw.tumours(host(), np.random.default_rng(index))
        heights[tumours[0].donor.split("_")[0]].append(hosted.lesion.centre[2])
    small, large = ((centre * 3 - 60) for centre in (12, 25))
    assert np.median(heights["small"]) == pytest.approx(small, abs=6)
    assert np.median(heights["large"]) == pytest.approx(large, abs=6)
    assert max(heights["small"]) < min(heights["large"]) + 10


def test_who_crosses_the_midline_crosses_it_no_further():
    across = cut_out("across", lesion_map((20, 24, 24.5), 6), GRID)
    beside = cut_out("beside", lesion_map((20, 24, 12), 6), GRID)
    assert 0.1 < across.across(MIDLINE) < 0.3
    draw = Draw(bank_of([across, beside]), replace(PRESETS["default"], combine=0.0), FREE)
    found = [draw.tumours(host(), np.random.default_rng(index)) for index in range(80)]
    own = {"across": across.across(MIDLINE), "beside": 0.0}
    assert all(hosted.across[0] <= own[tumours[0].donor] + CROSSES for tumours, hosted in found)
    assert any(hosted.across[0] > CROSSES for _, hosted in found)


def test_every_tumour_of_a_pair_has_to_fit():
    """One of them outside the brain is no pair, however small it is."""
    outside = Tumour("case_5", shift=(0.0, 0.0, 200.0))
    hosted = host_tumours((Tumour("case_0"), outside), BANK, host())
    assert hosted is not None
    assert hosted.kept == (1.0, 0.0)
    assert hosted.lost == (1, 2, 3)


def test_tumours_grow_by_what_the_edge_takes():
    """Volumes near the edge stay those of the cohort."""
    edge = bank_of([cut_out(f"case_{x}", lesion_map((20, 24, x), 6), GRID) for x in (8, 9, 36, 37)])
    draw = Draw(edge, replace(PRESETS["default"], combine=0.0), FREE)
    plain = Draw(edge, replace(PRESETS["default"], combine=0.0, scale=(0.7, 1.0)), FREE)
    grown, not_grown = (
        np.median([one.tumours(host(), np.random.default_rng(index))[1].lesion.volume for index in range(60)])
        for one in (draw, plain)
    )
    theirs = np.median([lesion.volume for lesion in edge.lesions])
    assert abs(grown / theirs - 1) < 0.1
    assert not_grown < grown


def test_a_host_without_room_says_so():
    tiny = Host("tiny", ball((20, 24, 21.5), 3), None, GRID)
    with pytest.raises(Unplaceable, match="it has no organ"):
        Draw(BANK, PRESETS["default"], FREE).tumours(
            Host("empty", organ() & False, None, GRID), np.random.default_rng(0)
        )
    with pytest.raises(Unplaceable, match="falls? (outside|into) the organ"):
        Draw(BANK, PRESETS["default"], Controls()).tumours(tiny, np.random.default_rng(0))


def test_volumes_classes_and_sides_follow_the_cohort():
    """And a sampler that makes everything larger does not."""
    cohort = bank(number=24)

    def made(number: int, controls: Controls) -> list[Lesion]:
        draw = Draw(cohort, PRESETS["default"], controls)
        return [draw.tumours(host(), np.random.default_rng([3, index]))[1].lesion for index in range(number)]

    placed = made(400, FREE)
    assert apart(placed, cohort.lesions) < 0.2
    assert apart(made(100, Controls(volume_ml=(25.0, 60.0))), cohort.lesions) > 0.2
    left, theirs = (np.mean([one.centre[0] > MIDLINE for one in several]) for several in (placed, cohort.lesions))
    assert left == pytest.approx(theirs, abs=0.08)


def apart(lesions: Sequence[Lesion], cohort: Sequence[Lesion]) -> float:
    """Largest relative difference of the 10, 50, 90 % quantiles of volume and of class fractions."""

    def measured(several: Sequence[Lesion]) -> np.ndarray:
        rows = [[one.volume, *(one.classes.get(value, 0) / one.volume for value in NAMES)] for one in several]
        return np.percentile(rows, [10, 50, 90], axis=0)

    return float(np.abs(measured(lesions) / measured(cohort) - 1).max())
