"""Who learns, by what the discriminator finds in patients that it does not learn from."""

import pytest
import torch

from nnunetv2_tf.methods.tf_gan.balance import CHECKS, LATELY, Balance


def balance(*found: float) -> Balance:
    made = Balance()
    for one in found:
        made.checked(one)
    return made


@pytest.mark.parametrize(
    ("held_out", "learns", "listens"), [(1.0, False, True), (0.72, True, True), (0.5, True, False)]
)
def test_the_rule(held_out, learns, listens):
    """It has won, and waits; both play; it has nothing to say yet."""
    found = balance(held_out)
    found.saw("real, patch", torch.ones(3))
    found.saw("made, patch", torch.zeros(3))
    assert (found.discriminator_learns, found.generator_listens) == (learns, listens)


def test_it_has_not_won_while_it_cannot_tell_those_that_it_learns_from():
    """Patients held out may just be unlike all others."""
    found = balance(1.0)
    for kind in ("real", "made"):
        found.saw(f"{kind}, patch", torch.arange(4.0))
    assert found.discriminator_learns


def test_the_last_checks_count():
    assert balance(*[1.0] * 9, *[0.6] * CHECKS).held_out == pytest.approx(0.6)
    assert balance(0.5, 0.9).held_out == pytest.approx(0.7)


def test_without_patients_held_out_both_always_learn():
    found = Balance()
    found.saw("real, patch", torch.ones(3))
    found.saw("made, patch", torch.zeros(3))
    assert found.auc("patch") == 1
    assert found.discriminator_learns
    assert found.generator_listens


def test_old_scores_are_forgotten_and_states_are_kept():
    found = balance(0.6)
    found.saw("real, patch", torch.zeros(4))
    found.saw("made, patch", torch.full((4,), 9.0))
    assert found.auc("patch") == 0
    found.saw("made, patch", torch.full((LATELY,), -5.0))
    assert found.auc("patch") == 1
    other = Balance()
    other.restore(found.state())
    assert other.state() == found.state()
    assert (other.auc("patch"), other.held_out) == (1, 0.6)
