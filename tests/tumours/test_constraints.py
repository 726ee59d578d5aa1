"""What is asked of tumours: when they meet it, and what no tumour of a cohort can meet."""

from dataclasses import replace

import numpy as np
import pytest

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.tumours.bank import cut_out
from nnunetv2_tf.tumours.constraints import Reach, TumourConstraints
from nnunetv2_tf.tumours.sampling_config import USUAL, SamplingConfig
from tests.tumours.hosts import GRID, SHAPE, ball, bank, bank_of, lesion_map

NAMES = {1: "NCR", 2: "ED", 3: "ET"}
BANK = bank()
FREE, DEFAULT = TumourConstraints(), SamplingConfig()


@pytest.mark.parametrize(
    ("controls", "sentence"),
    [
        (
            TumourConstraints(volume_ml=(500.0, 600.0)),
            r"-volume_ml 500 600 cannot be made of tumours of [\d.]+ to [\d.]+ ml",
        ),
        (TumourConstraints(volume_ml=(5.0, 2.0)), "-volume_ml takes the least and the most, not 5 2"),
        (
            TumourConstraints(components=(5, 7)),
            "-components 5 7 cannot be made of tumours of 1 to 1 pieces, two of them at most",
        ),
        (
            TumourConstraints(fractions={3: (0.9, 1.0)}),
            "No tumour of this fold has -class_fraction ET 0.9 to 1; they have ET 0.",
        ),
        (TumourConstraints(fractions={3: (0.9, 1.2)}), "-class_fraction ET takes shares between 0 and 1"),
        (TumourConstraints(center=(0.0, 0.0, 0.0)), "-center and -radius go together"),
        (TumourConstraints(center=(0.0, 0.0, 0.0), radius=0.0), "-radius one above 0"),
        (TumourConstraints(center=(0.0, float("nan"), 0.0), radius=5.0), "-center takes three numbers in mm"),
        (TumourConstraints(center=(500.0, 6.0, 3.0), radius=8.0), "-center 500 6 3 lies outside the brains"),
        (
            TumourConstraints(center=(-25.0, 6.0, 3.0), radius=8.0, side="left"),
            "-radius 8 has nothing on the left side",
        ),
        (TumourConstraints(mass_effect=(0.5, 2.0)), "-mass_effect takes the least and the most, 0 to 1.5, not 0.5 2"),
        (TumourConstraints(mass_effect=(0.5, 0.2)), "-mass_effect takes the least and the most, 0 to 1.5, not 0.5 0.2"),
        (TumourConstraints(volume_ml=(20.0, 20.0)), "-volume_ml 20 20 leaves no room; allow a tenth more"),
    ],
)
def test_what_no_donor_can_be_is_refused_before_work_begins(controls, sentence):
    with pytest.raises(UserError, match=sentence):
        controls.check_possible(BANK, DEFAULT, NAMES)


def test_a_mass_effect_is_refused_where_there_is_none():
    asked = TumourConstraints(mass_effect=(0.0, 1.0))
    asked.check_possible(BANK, USUAL, NAMES)
    with pytest.raises(UserError, match="-mass_effect asks for what this method or preset leaves out"):
        asked.check_possible(BANK, DEFAULT, NAMES)


def test_of_one_donor_no_two_pieces_are_made():
    alone = bank_of(BANK.lesions[:1])
    with pytest.raises(UserError, match="-components 2 2 cannot be made of tumours of 1 to 1 pieces"):
        TumourConstraints(components=(2, 2)).check_possible(alone, DEFAULT, NAMES)


def test_two_pieces_are_possible_only_where_donors_are_combined():
    asked = TumourConstraints(components=(2, 2))
    asked.check_possible(BANK, USUAL, NAMES)
    with pytest.raises(UserError, match=r"-components 2 2 cannot be made of tumours of 1 to 1 pieces\."):
        asked.check_possible(BANK, replace(DEFAULT, combine=0.0), NAMES)


def test_only_donors_of_the_classes_asked_for_count_for_the_volume():
    """The large tumour is all oedema, so that no tumour with enhancing parts can be that large."""
    large = np.where(ball((20, 24, 30), 7), 2, 0).astype(np.int16)
    mixed = bank_of([cut_out("large", large, GRID), cut_out("small", lesion_map((20, 24, 12), 4), GRID)])
    volume = mixed.by_donor["large"].volume
    asked = TumourConstraints(volume_ml=(0.9 * volume, 1.1 * volume))
    asked.check_possible(mixed, DEFAULT, NAMES)
    small = mixed.by_donor["small"].volume
    sentence = f"cannot be made of tumours of {small:.1f} to {small:.1f} ml, scaled by 0.7 to 1.3"
    with pytest.raises(UserError, match=sentence):
        replace(asked, fractions={3: (0.1, 1.0)}).check_possible(mixed, DEFAULT, NAMES)


def test_a_donor_reaches_the_volumes_of_its_scales():
    """A cube of 8 voxels, of 27 mm3 each, whose lengths may be halved or doubled."""
    label = np.zeros(SHAPE, np.int16)
    label[10:12, 10:12, 10:12] = 1
    lesion, sampling = cut_out("cube", label, GRID), SamplingConfig(scale=(0.5, 2.0))
    least, most = 0.027, 64 * 0.027
    for span, reached in (
        ((0.9 * least, 1.01 * least), True),
        ((0.9 * least, 0.99 * least), False),
        ((0.99 * most, 2 * most), True),
        ((1.01 * most, 2 * most), False),
        ((0.1, 0.11), True),
    ):
        assert TumourConstraints(volume_ml=span).reachable(lesion, sampling.scale) is reached
    assert FREE.reachable(lesion, sampling.scale)


def test_donors_are_made_smaller_than_usual_only_where_nobody_has_what_is_asked_for():
    volumes = sorted(lesion.volume for lesion in BANK.lesions)
    least, middle = volumes[0] * 0.7**3, float(np.median(volumes))
    for span in (None, (1.01 * least, 0.9 * volumes[0]), (volumes[-1], 2 * volumes[-1]), (0.1, 1.01 * volumes[0])):
        assert TumourConstraints(volume_ml=span).reach(BANK, DEFAULT) == Reach(DEFAULT.scale)
    reach = TumourConstraints(volume_ml=(0.5, 0.9 * volumes[0])).reach(BANK, DEFAULT)
    assert reach.beyond
    assert reach.scale[0] ** 3 * middle == pytest.approx(0.5)  # half of the donors can become so small
    assert reach.scale[1] == DEFAULT.scale[1]


def test_nobody_is_scaled_further_than_a_recipe_may_say():
    asked = TumourConstraints(volume_ml=(1e-5, 1e-4))
    with pytest.raises(UserError, match=r"-volume_ml 1e-05 0.0001 cannot be made of .* scaled by 0.12 to 1.3"):
        asked.check_possible(BANK, DEFAULT, NAMES)


@pytest.mark.parametrize(
    ("fractions", "met"),
    [
        ({}, True),
        ({2: (0.75, 0.75)}, True),
        ({2: (0.76, 1.0)}, False),
        ({1: (0.0, 0.24)}, False),
        ({1: (0.2, 0.3), 2: (0.7, 0.8)}, True),
        ({1: (0.2, 0.3), 2: (0.8, 0.9)}, False),
        ({3: (0.0, 0.1)}, True),  # a class that is not there has a share of 0
        ({3: (0.1, 1.0)}, False),
    ],
)
def test_shares_are_of_all_classes_together(fractions, met):
    assert TumourConstraints(fractions=fractions).fractions_met({1: 1.0, 2: 3.0}) is met


@pytest.mark.parametrize(
    ("constraints", "centre", "met"),
    [
        (FREE, (99.0, 99.0, 99.0), True),
        (TumourConstraints(side="left"), (11.0, 0.0, 0.0), True),
        (TumourConstraints(side="left"), (9.0, 0.0, 0.0), False),
        (TumourConstraints(side="right"), (11.0, 0.0, 0.0), False),
        (TumourConstraints(side="right"), (9.0, 0.0, 0.0), True),
        (TumourConstraints(center=(1.0, 2.0, 3.0), radius=5.0), (4.0, 6.0, 3.0), True),
        (TumourConstraints(center=(1.0, 2.0, 3.0), radius=5.0), (4.0, 6.0, 3.5), False),
        (TumourConstraints(center=(9.0, 0.0, 0.0), radius=5.0, side="left"), (11.0, 0.0, 0.0), True),
        (TumourConstraints(center=(9.0, 0.0, 0.0), radius=5.0, side="left"), (8.0, 0.0, 0.0), False),
    ],
)
def test_a_centre_lies_on_its_side_of_the_midline_and_within_the_radius(constraints, centre, met):
    """The midline is at x = 10 mm here, and x grows to the left."""
    assert constraints.centre_met(np.array(centre), 10.0) is met


def test_a_radius_that_crosses_the_midline_leaves_room_on_the_other_side():
    asked = TumourConstraints(center=(-5.0, 6.0, 3.0), radius=8.0, side="left")
    asked.check_possible(BANK, USUAL, NAMES)
    with pytest.raises(UserError, match="-center -5 6 3 with -radius 4 has nothing on the left side"):
        replace(asked, radius=4.0).check_possible(BANK, DEFAULT, NAMES)
    with pytest.raises(UserError, match="-center 5 6 3 with -radius 4 has nothing on the right side"):
        replace(asked, center=(5.0, 6.0, 3.0), radius=4.0, side="right").check_possible(BANK, DEFAULT, NAMES)
