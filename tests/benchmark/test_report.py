import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from nnunetv2_tf.benchmark import paper
from nnunetv2_tf.benchmark.arm import Arm
from nnunetv2_tf.benchmark.few_labels import append_draws
from nnunetv2_tf.benchmark.pictures import doses_of
from nnunetv2_tf.benchmark.plots import curve_plot, dose_plot, forest_plot, scatter_plot
from nnunetv2_tf.benchmark.report import METRICS_2026, Report, detectable, make_reports
from nnunetv2_tf.benchmark.statistics import detectable_difference
from tests.benchmark.examples import CARVEMIX, DATASET, NNUNET, matrix, rows

RNG = np.random.default_rng(0)
BASE = RNG.random((3, 12, 3)) * 0.5
ARMS = [NNUNET, CARVEMIX, Arm("better", "tests.methods.examples:Stamp", num_cases=9)]
MATRIX = matrix(*ARMS, seeds=(0, 1, 2))
DICE = {"nnunet": BASE, "carvemix": BASE + 0.01 * RNG.standard_normal(BASE.shape), "better": BASE + 0.2}


@pytest.fixture(scope="module")
def report():
    return the_report(rows(DICE))


def the_report(scored) -> Report:
    (made,) = make_reports(scored, MATRIX, DATASET)
    return made


def cells(table) -> list[dict[str, str]]:
    return [dict(zip(table.header, row, strict=True)) for row in table.rows]


def test_our_numbers_stand_beside_the_papers(report):
    nnunet, carvemix, better = cells(report.tables[0])
    means = 100 * BASE.mean(axis=1)
    assert nnunet["WT"] == f"{means[:, 0].mean():.2f} ± {means[:, 0].std(ddof=1):.2f} [12]"
    assert nnunet["mean"] == f"{means.mean():.2f} ± {means.mean(axis=1).std(ddof=1):.2f}"
    assert (nnunet["difference"], nnunet["p (Student)"]) == ("-", "-")
    assert better["difference"] == "+20.00"
    assert [nnunet[f"paper: {name}"] for name in ("ET", "mean", "difference")] == ["49.76 ± 0.69", "66.57 ± 0.52", "-"]
    welch: Any = stats.ttest_ind_from_stats(66.72, 0.25, 3, 66.57, 0.52, 3, equal_var=False)
    expected = ["66.72 ± 0.25", "+0.15", "0.676", f"{welch.pvalue:.3f}"]
    assert [carvemix[f"paper: {name}"] for name in ("mean", "difference", "p (Student)", "p (Welch)")] == expected
    assert carvemix["paper: cases"] == "100"  # ours had 4
    assert {better[name] for name in better if name.startswith("paper")} == {"-"}


def test_regions_that_are_not_the_papers_get_no_paper():
    made = the_report(rows({"nnunet": BASE}, ("a", "b", "c")))
    assert not [name for name in made.tables[0].header if "paper" in name]


def test_differences_of_the_papers_means():
    """Its Table 2 prints +1.18 for 200 cases."""
    baseline = paper.printed(None, None)
    assert baseline is not None
    gains = {row.num_cases: row.mean[-1] - baseline.mean[-1] for row in paper.PRINTED if row.method == "tf_gan"}
    assert gains == pytest.approx({50: 0.31, 100: 1.20, 200: 0.99, 300: 1.68})
    for row in paper.PRINTED:  # its means are those of the regions, but for rounding
        assert row.mean[-1] == pytest.approx(np.mean(row.mean[:-1]), abs=0.011)


def test_one_sentence_per_arm_says_what_there_is_no_evidence_for(report):
    told = f"{DATASET}: "
    assert any(text.startswith(f"{told}There is no evidence that carvemix differs") for text in report.sentences)
    assert any(text.startswith(f"{told}better is better than nnunet (+0.200 Dice") for text in report.sentences)
    assert any(f"{told}Two trainings of nnunet differ on a case by" in text for text in report.sentences)


def test_a_single_training_is_called_that():
    made = the_report(rows({arm: values[:1] for arm, values in DICE.items()}))
    claims = [text for text in made.sentences if "evidence" in text or "better than" in text]
    assert len(claims) == 2
    assert all("One training of each is no evidence" in text for text in claims)
    assert "±" not in made.tables[0].rows[0][2]


def test_lesions_are_counted_by_size_in_what_is_compared():
    made = the_report(rows({**DICE, "carvemix": BASE[:1]}))
    nnunet, carvemix = (
        next(row for row in cells(made.tables[-1]) if row["arm"] == arm) for arm in ("nnunet", "carvemix")
    )
    for row, trainings in ((nnunet, 3), (carvemix, 1)):
        number = trainings * 12
        assert list(row.values())[1:] == ["ET", str(trainings), f"0 % of {number}", f"100 % of {number}", "-", "2.00"]


def test_every_metric_with_its_difference(report):
    nnunet, _, better = cells(report.tables[2])
    assert (nnunet["HD95"], better["HD95"]) == ("2.0", "2.0 (+0.0 to +0.0)")
    assert re.fullmatch(rf"{BASE.mean() + 0.2:.3f} \(\+0\.\d{{3}} to \+0\.\d{{3}}\)", better["Dice"])


def test_brats_2026_leaves_out_where_both_are_empty():
    scored = [
        replace(row, score=replace(row.score, **dict.fromkeys(METRICS_2026, float(index) if index % 2 else None)))
        for index, row in enumerate(rows({"nnunet": BASE[:1, :4]}))
    ]
    table = the_report(scored).tables[3]
    assert table.title == f"{DATASET}: BraTS 2026"
    of_region = {row["region"]: row for row in cells(table)}
    assert of_region["WT"]["segmentations that count"] == "2 of 4"  # rows 0, 3, 6, 9; odd ones count
    assert (of_region["WT"]["HD95"], of_region["WT"]["lesion F1"]) == ("6.00", "6.000")


def test_nothing_complete_is_no_report():
    assert make_reports([], MATRIX, DATASET) == []


def test_what_can_be_found_is_said_before():
    assert f"{detectable_difference(0.1, 12):.3f} Dice is found four times in five" in detectable(12, 1, None)
    assert "assumed" in detectable(12, 1, None)
    stricter = detectable(12, 2, 0.05)
    assert f"{detectable_difference(0.05, 12, alpha=0.025):.3f} Dice is found" in stricter
    assert "assumed" not in stricter
    for cases, arms, possible in ((5, 1, False), (6, 1, True), (6, 2, False), (7, 2, True)):
        assert ("no difference can be told from chance" not in detectable(cases, arms, None)) is possible


def test_pictures(report, tmp_path):
    forest_plot(report.findings, tmp_path / "forest.png")
    scatter_plot(report.dice, "nnunet", tmp_path / "scatter.png")
    for name in ("forest.png", "scatter.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_a_learning_curve_is_a_report_per_number_of_cases_and_a_picture(workspace, tmp_path):
    append_draws(workspace.dataset, [0], (4, 6), 2)
    curve = matrix(NNUNET, CARVEMIX, train_cases=(4, 6), draws=2)
    scored = [
        replace(row, train_cases=use.train_cases, draw=use.draw)
        for use in curve.uses(workspace.dataset)
        for row in rows({"nnunet": BASE[:1], "carvemix": BASE[:1] + 0.1}, fold=use.fold)
    ]
    reports = make_reports(scored, curve, DATASET)
    assert [report.dice.title for report in reports] == [f"{DATASET}, {number} labelled cases" for number in (4, 6)]
    assert all("carvemix is better than nnunet (+0.100 Dice" in report.sentences[0] for report in reports)
    found = [finding for report in reports for finding in report.findings]
    curve_plot([report.dice for report in reports], found, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_arms_that_differ_in_their_number_of_cases_are_a_curve_of_doses(tmp_path):
    arms = [replace(CARVEMIX, name=f"carvemix_{number}", num_cases=number) for number in (8, 4, 2)]
    other = Arm("cutmix", "cutmix", num_cases=4)
    dose = matrix(NNUNET, *arms, other)
    better = {arm.name: BASE + 0.01 * float(arm.num_cases or 0) for arm in arms}
    (report,) = make_reports(rows({"nnunet": BASE, "cutmix": BASE, **better}), dose, DATASET)
    (doses,) = doses_of(dose, report)
    assert list(doses) == [2, 4, 8]
    dose_plot(report.dice, report.findings, "nnunet", [doses], tmp_path / "dose.png")
    assert (tmp_path / "dose.png").read_bytes().startswith(b"\x89PNG")
    assert doses_of(matrix(NNUNET, arms[0], other), report) == []
    dose_plot(report.dice, report.findings, None, [doses], tmp_path / "without.png")
    assert (tmp_path / "without.png").read_bytes() != (tmp_path / "dose.png").read_bytes()


@pytest.mark.parametrize(("labelled", "papers"), [(100, "50"), (50, "100"), (25, "200"), (18, "100")])
def test_the_papers_row_has_as_many_synthetic_cases_for_each_labelled_one(labelled, papers):
    """50 cases of TF-GAN; where the paper has no such share, its usual 100 stand there."""
    arm = Arm("tfgan", "tf_gan", num_cases=50)
    (report,) = make_reports(rows({"nnunet": BASE, "tfgan": BASE}), matrix(NNUNET, arm), DATASET, labelled)
    (row,) = [row for row in cells(report.tables[0]) if row["arm"] == "tfgan"]
    assert row["paper: cases"] == papers
