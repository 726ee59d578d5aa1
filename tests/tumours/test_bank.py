"""What is known of a cohort's tumours, against counting."""

from dataclasses import replace

import numpy as np
import pytest

from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.tumours.bank import Bank, bank_from_cases, count_pieces, cut_out
from nnunetv2_tf.working_space.preprocess import Plan
from nnunetv2_tf.working_space.stored import training_cases
from tests.tumours.hosts import GRID, SHAPE, ball
from tests.workspace import TINY, Workspace


def test_a_lesion_is_measured():
    label = np.zeros(SHAPE, np.int16)
    label[10:14, 20:22, 30:33] = 2
    label[11, 20, 30] = 3
    lesion = cut_out("case", label, GRID)
    assert lesion.classes == pytest.approx({2: 23 * 0.027, 3: 0.027})
    assert lesion.volume == pytest.approx(24 * 0.027)
    z, y, x = 11.5, 20.5, 31.0
    np.testing.assert_allclose(lesion.centre, (3 * x - 66, 3 * y - 72, 3 * z - 60))
    assert lesion.across(3 * 31.5 - 66) == pytest.approx(1 / 3)
    assert lesion.across(-500) == 0
    assert not np.concatenate([face.ravel() for face in (lesion.label[0], lesion.label[-1])]).any()


def test_pieces_are_counted_without_crumbs():
    tumour = ball((10, 10, 10), 3) | ball((25, 30, 30), 2)
    tumour[38, 46, 42] = True
    assert count_pieces(tumour, 0.027) == 2
    tumour[13:24, 10, 10] = True
    tumour[23, 10:30, 10] = True
    assert count_pieces(tumour, 0.027) == 2
    assert count_pieces(tumour & False, 0.027) == 0
    assert count_pieces(ball((10, 10, 10), 0), 0.027) == 1


def nudged(bank: Bank, far: float) -> Bank:
    lesions = tuple(replace(lesion, affine=lesion.affine - far) for lesion in bank.lesions)
    return replace(bank, lesions=lesions, extent=bank.extent + far, midline=bank.midline + far)


def test_the_bank_of_a_fold(workspace: Workspace):
    """Training cases only; places are those of the scans, or of the reference through an affine."""
    dataset = workspace.dataset
    cases = training_cases(raw_cases(dataset), dataset, Plan.read(dataset, TINY, "3d_fullres"), 0)
    bank = bank_from_cases(cases, {})
    assert [lesion.donor for lesion in bank.lesions] == [case.identifier for case in cases]
    opened = [case.open() for case in cases]
    for case, lesion in zip(opened, bank.lesions, strict=True):
        places = np.argwhere(case.tumour() > 0) @ case.grid.affine[:3, :3].T + case.grid.affine[:3, 3]
        np.testing.assert_allclose(lesion.centre, places.mean(axis=0), atol=1e-6)
        np.testing.assert_array_equal(lesion.label[1:-1, 1:-1, 1:-1][lesion.label[1:-1, 1:-1, 1:-1] > 0],
                                      case.tumour()[case.tumour() > 0])  # fmt: skip
    moved = np.eye(4)
    moved[:3, 3] = (5.0, -3.0, 2.0)  # the scan's points lie so far from the reference's
    other = bank_from_cases(cases, {cases[0].identifier: moved})
    np.testing.assert_allclose(other.lesions[0].centre, bank.lesions[0].centre - moved[:3, 3])
    np.testing.assert_allclose(other.lesions[1].centre, bank.lesions[1].centre)
    assert bank.digest == nudged(bank, 1e-11).digest  # as another kind of CPU computes it
    assert bank.digest != nudged(bank, 1e-3).digest
    with pytest.raises(UserError, match="No training case of this fold has any organ"):
        bank_from_cases([], {})
