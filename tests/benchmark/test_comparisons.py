from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from nnunetv2_tf.benchmark.arm import Arm
from nnunetv2_tf.benchmark.comparisons import MEAN, METRICS, arrange, findings, left_out, paper_layout, scatter_of_seeds
from nnunetv2_tf.benchmark.scores import Row
from nnunetv2_tf.benchmark.statistics import holm
from tests.benchmark.examples import CARVEMIX, DATASET, NNUNET, matrix, rows

RNG = np.random.default_rng(0)
BASE, BETTER = RNG.random((3, 10, 3)) * 0.5, RNG.random((2, 10, 3)) * 0.5 + 0.3
SECOND = Arm("second", "carvemix", num_cases=2)
MATRIX = matrix(NNUNET, CARVEMIX, SECOND, seeds=(0, 1, 2))
DICE = {"nnunet": BASE, "carvemix": BETTER, "second": BASE + 0.001 * RNG.standard_normal(BASE.shape)}


def test_arrays_are_seeds_by_cases_with_regions_in_the_papers_order():
    scores = arrange(rows(DICE), MATRIX, DATASET, "Dice")
    assert scores.regions == ("ET", "TC", "WT")
    assert scores.outcomes == ("ET", "TC", "WT", MEAN)
    np.testing.assert_array_equal(scores.of("nnunet", "WT"), BASE[:, :, 0])
    np.testing.assert_allclose(scores.of("carvemix", MEAN), BETTER.mean(axis=2))
    np.testing.assert_allclose(
        arrange(rows(DICE), MATRIX, DATASET, "lesion-wise Dice").of("nnunet", "ET"), BASE[:, :, 2] / 2
    )


def test_other_regions_keep_their_order():
    scores = arrange(rows({"nnunet": BASE}, ("tumour", "cyst", "rim")), MATRIX, DATASET, "Dice")
    assert scores.regions == ("tumour", "cyst", "rim")


def other_fold(dice: dict[str, np.ndarray], seeds=range(9)) -> list[Row]:
    """Rows of fold 1, whose cases are others."""
    return [replace(row, case=f"fold1_{row.case}") for row in rows(dice, seeds=seeds, fold=1)]


def test_folds_are_put_together_and_a_seed_that_lacks_one_is_left_out():
    first = rows({"nnunet": BASE, "carvemix": BETTER})
    more = other_fold({"nnunet": BASE[:, :4], "carvemix": BETTER[:1, :4]})
    both = matrix(NNUNET, CARVEMIX, folds=(0, 1), seeds=(0, 1, 2))
    scores = arrange(first + more, both, DATASET, "Dice")
    assert (scores.folds, len(scores.cases)) == ((0, 1), 14)
    assert scores.seeds == {"nnunet": (0, 1, 2), "carvemix": (0,)}
    np.testing.assert_array_equal(scores.of("carvemix", "WT")[0], np.concatenate([BETTER[0, :, 0], BETTER[0, :4, 0]]))
    sentences = left_out(first + more, scores, both)
    assert "Of carvemix only seed 0 of 3 seeds is finished." in sentences
    assert "1 finished trainings wait for others and are only in benchmark.csv." in sentences


def test_only_folds_that_all_arms_have_are_compared():
    first, more = rows({"nnunet": BASE, "carvemix": BETTER}), other_fold({"nnunet": BASE})
    both = matrix(NNUNET, CARVEMIX, SECOND, folds=(0, 1), seeds=(0, 1, 2))
    scores = arrange(first + more, both, DATASET, "Dice")
    assert scores.folds == (0,)
    assert scores.seeds == {"nnunet": (0, 1, 2), "carvemix": (0, 1)}
    sentences = left_out(first + more, scores, both)
    assert "Only folds that all arms have finished are compared: 0 of 2." in sentences
    assert "second is not compared: it has no training on all of these folds yet." in sentences
    assert paper_layout(first + more, scores)["nnunet"]["ET"].cases == (10,)  # type: ignore[union-attr]
    nothing = arrange(rows({"nnunet": BASE}) + other_fold({"carvemix": BETTER}), both, DATASET, "Dice")
    assert (nothing.folds, nothing.values) == ((), {})


def test_findings_against_scipy_corrected_over_arms():
    scores = arrange(rows(DICE), MATRIX, DATASET, "Dice")
    found = {(f.arm, f.outcome): f for f in findings([scores], MATRIX, np.random.default_rng(0))}
    assert set(found) == {(arm, outcome) for arm in ("carvemix", "second") for outcome in scores.outcomes}
    raw = [
        float(stats.wilcoxon(DICE[arm].mean(axis=(0, 2)) - BASE.mean(axis=(0, 2))).pvalue)  # type: ignore[union-attr]
        for arm in ("carvemix", "second")
    ]
    adjusted = holm(raw)
    for arm, p, corrected in zip(("carvemix", "second"), raw, adjusted, strict=True):
        finding = found[arm, MEAN]
        assert finding.comparison.wilcoxon.p == pytest.approx(p)
        assert finding.comparison.adjusted_p == pytest.approx(corrected)
    assert found["carvemix", MEAN].trainings == 2
    assert found["carvemix", MEAN].comparison.difference.low > 0


def test_without_the_baseline_nothing_is_compared():
    scores = arrange(rows({"carvemix": BETTER}), MATRIX, DATASET, "Dice")
    assert findings([scores], MATRIX, np.random.default_rng(0)) == []


def test_the_papers_layout_leaves_out_what_is_neither_there_nor_predicted():
    dice = BASE.copy()
    dice[0, 3, 2] = dice[1, :4, 1] = np.nan
    base = rows({"nnunet": dice})
    summary: Any = paper_layout(base, arrange(base, MATRIX, DATASET, "Dice"))["nnunet"]
    means = 100 * np.nanmean(dice, axis=1)  # (seeds, regions), as nnU-Net
    assert summary["ET"].cases == (9, 10)
    assert summary["ET"].mean == pytest.approx(means[:, 2].mean())
    assert summary["ET"].sd == pytest.approx(means[:, 2].std(ddof=1))
    assert summary[MEAN].mean == pytest.approx(means.mean())
    assert summary[MEAN].sd == pytest.approx(means.mean(axis=1).std(ddof=1))
    assert arrange(base, MATRIX, DATASET, "Dice").of("nnunet", "ET")[0, 3] == 1  # the paired tests count it as right


def test_t_tests_over_seeds_need_two():
    everything = rows(DICE)
    summaries: Any = paper_layout(everything, arrange(everything, MATRIX, DATASET, "Dice"))
    tests = summaries["carvemix"][MEAN].against(summaries["nnunet"][MEAN])
    assert tests is not None
    ours, theirs = (100 * DICE[arm].mean(axis=(1, 2)) for arm in ("carvemix", "nnunet"))
    for test, equal in zip(tests, (True, False), strict=True):
        assert test.p == pytest.approx(float(stats.ttest_ind(ours, theirs, equal_var=equal).pvalue))  # type: ignore[union-attr]
    one = rows({"nnunet": BASE[:1], "carvemix": BETTER})
    summaries = paper_layout(one, arrange(one, MATRIX, DATASET, "Dice"))
    assert summaries["carvemix"][MEAN].against(summaries["nnunet"][MEAN]) is None


def test_a_region_that_is_nowhere_is_left_out():
    dice = BASE.copy()
    dice[:, :, 2] = np.nan
    base = rows({"nnunet": dice})
    summary: Any = paper_layout(base, arrange(base, MATRIX, DATASET, "Dice"))["nnunet"]
    assert summary["ET"] is None
    assert summary[MEAN].mean == pytest.approx(100 * BASE[:, :, :2].mean())


def test_how_much_two_trainings_of_an_arm_differ():
    scores = arrange(rows({"nnunet": BASE[:2]}), MATRIX, DATASET, "Dice")
    difference = BASE[0].mean(axis=1) - BASE[1].mean(axis=1)
    assert scatter_of_seeds(scores, "nnunet") == pytest.approx(np.linalg.norm(difference) / np.sqrt(10))
    shifted = arrange(rows({"nnunet": np.stack([BASE[0], BASE[0] + 0.1])}), MATRIX, DATASET, "Dice")
    assert scatter_of_seeds(shifted, "nnunet") == pytest.approx(0.1)
    assert scatter_of_seeds(arrange(rows({"nnunet": BASE[:1]}), MATRIX, DATASET, "Dice"), "nnunet") is None
    assert set(METRICS) == {"Dice", "lesion-wise Dice", "NSD", "HD95", "lesion-wise HD95"}


def drawn(dice: dict[str, np.ndarray], number: int, fold: int, draw: int) -> list[Row]:
    return [replace(row, train_cases=number, draw=draw) for row in rows(dice, fold=fold)]


def test_a_case_that_validates_in_several_splits_counts_once_as_their_mean():
    """Two splits share five of their cases; nnU-Net's fold decides nothing else."""
    first = rows({"nnunet": BASE[:1], "carvemix": BETTER[:1]})
    second = [
        replace(row, case=f"case_{int(row.case[5:]) + 5:03d}", fold=1)
        for row in rows({"nnunet": BASE[1:2], "carvemix": BETTER[1:]})
    ]
    both = matrix(NNUNET, CARVEMIX, folds=(0, 1))
    scores = arrange(first + second, both, DATASET, "Dice")
    assert len(scores.cases) == 15
    expected = np.concatenate([BASE[0, :5, 0], (BASE[0, 5:, 0] + BASE[1, :5, 0]) / 2, BASE[1, 5:, 0]])
    np.testing.assert_allclose(scores.of("nnunet", "WT"), expected[None])
    assert np.isnan(scores.by_fold("nnunet", "WT")).sum() == 10
    assert scores.trainings_per_case("nnunet") == 1
    summary: Any = paper_layout(first + second, scores)["nnunet"]
    assert summary["WT"].mean == pytest.approx(100 * expected.mean())


def test_numbers_of_labelled_cases_are_compared_each_by_itself_and_corrected_together():
    pair = {"nnunet": BASE[:1], "carvemix": BETTER[:1]}
    few, more = drawn(pair, 6, 5, 0) + drawn(pair, 6, 6, 1), drawn(pair, 12, 7, 0)
    curve = matrix(NNUNET, CARVEMIX, train_cases=(6, 12), draws=2)
    points = [arrange(few + more, curve, DATASET, "Dice", number) for number in (6, 12)]
    assert [scores.folds for scores in points] == [(5, 6), (7,)]
    assert [scores.trainings_per_case("carvemix") for scores in points] == [2, 1]
    found = [f for f in findings(points, curve, np.random.default_rng(0)) if f.outcome == MEAN]
    assert [(f.train_cases, f.trainings) for f in found] == [(6, 2), (12, 1)]
    for finding in found:
        assert finding.comparison.adjusted_p == pytest.approx(2 * finding.comparison.wilcoxon.p)
