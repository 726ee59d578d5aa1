import pytest

from nnunetv2_tf.benchmark.few_labels import append_draws, draw_cases, drawn_folds
from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.folds import Groups, fold_split, splits_file
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from tests.workspace import Workspace

CASES = [f"case_{number:03d}" for number in range(20)]
PAIRS = Groups({case: f"patient_{index // 2}" for index, case in enumerate(CASES)})


def test_draws_are_nested_seeded_and_keep_patients_whole():
    few, more = (set(draw_cases(CASES, number, PAIRS, (0, 3))) for number in (5, 12))
    assert few < more
    assert (len(few), len(more)) == (6, 12)  # at least so many, in pairs
    for drawn in (few, more):
        assert len({PAIRS[case] for case in drawn}) * 2 == len(drawn)
    assert draw_cases(CASES, 5, PAIRS, (0, 3)) == draw_cases(CASES[::-1], 5, PAIRS, (0, 3))
    assert len({draw_cases(CASES, 5, PAIRS, (0, draw)) for draw in range(9)}) > 5


def test_draws_are_appended_and_folds_never_change(workspace: Workspace):
    dataset = workspace.dataset
    fold_split(dataset, 0, raw_cases(dataset))  # writes nnU-Net's five folds
    before = read_json(splits_file(dataset), "")
    with pytest.raises(UserError, match="lacks the fold for 3 labelled cases, draw 0 of fold 1"):
        drawn_folds(dataset, [1], (3, 5), 2)
    append_draws(dataset, [1], (3, 5), 2)
    after = read_json(splits_file(dataset), "")
    assert after[:5] == before
    assert len(after) == 9
    uses = drawn_folds(dataset, [1], (3, 5), 2)
    assert [(use.fold, use.train_cases, use.draw) for use in uses] == [(5, 3, 0), (6, 5, 0), (7, 3, 1), (8, 5, 1)]
    for use in uses:
        split = fold_split(dataset, use.fold, raw_cases(dataset))
        assert set(split.val) == set(before[1]["val"])
        assert set(split.train) < set(before[1]["train"])
        assert len(split.train) == use.train_cases
    append_draws(dataset, [1], (5, 3), 2)  # again: by content, whatever the order
    assert read_json(splits_file(dataset), "") == after


def test_all_cases_of_a_fold_are_the_fold(workspace: Workspace):
    dataset = workspace.dataset
    number = len(fold_split(dataset, 0, raw_cases(dataset)).train)
    append_draws(dataset, [0], (number,), 3)
    assert [(use.fold, use.draw) for use in drawn_folds(dataset, [0], (number,), 3)] == [(0, 0)]
    with pytest.raises(UserError, match=f"trains on {number} cases, and train_cases asks for {number + 1}"):
        append_draws(dataset, [0], (number + 1,), 1)


def test_two_numbers_that_are_the_same_patients_are_refused(workspace: Workspace):
    dataset = workspace.dataset
    identifiers = list(raw_cases(dataset))
    write_json(dataset.raw / "groups.json", {case: f"p{index // 2}" for index, case in enumerate(identifiers)})
    append_draws(dataset, [0], (3, 4), 1)
    with pytest.raises(UserError, match="3 and 4 labelled cases are the same cases"):
        drawn_folds(dataset, [0], (3, 4), 1)
