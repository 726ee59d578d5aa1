import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_tf.benchmark import metrics
from nnunetv2_tf.benchmark.matrix import Training
from nnunetv2_tf.benchmark.scores import score_region, score_training
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from tests.benchmark.examples import matrix
from tests.workspace import Workspace

CASES = ("case_000", "case_007")  # validate in fold 0


def make_validated(workspace: Workspace) -> Training:
    """A training whose segmentations are the truth moved by one voxel."""
    training = next(matrix().trainings())
    (training.folder / "validation").mkdir(parents=True)
    for case in CASES:
        truth = sitk.ReadImage(str(workspace.dataset.preprocessed / "gt_segmentations" / f"{case}.nii.gz"))
        moved = sitk.GetImageFromArray(np.roll(sitk.GetArrayFromImage(truth), 1, axis=0))
        moved.CopyInformation(truth)
        sitk.WriteImage(moved, str(training.folder / "validation" / f"{case}.nii.gz"))
    return training


def test_scores_are_the_metrics_of_the_regions_in_dataset_json(workspace: Workspace, tmp_path):
    training = make_validated(workspace)
    rows = score_training(training, tmp_path, 1)
    assert [(row.case, row.score.region) for row in rows] == [
        (case, region) for case in CASES for region in ("WT", "TC", "ET")
    ]
    image = sitk.ReadImage(str(workspace.dataset.raw / "labelsTr" / "case_000.nii.gz"))
    truth, spacing = sitk.GetArrayFromImage(image), image.GetSpacing()[::-1]
    for row, values in zip(rows, ((1, 2, 3), (1, 3), (3,)), strict=False):
        one, other = np.isin(np.roll(truth, 1, axis=0), values), np.isin(truth, values)
        assert row.score.dice == pytest.approx(metrics.dice(one, other))
        assert row.score.hd95 == pytest.approx(metrics.hd95(one, other, spacing))
        assert row.score.nsd == pytest.approx(metrics.nsd(one, other, spacing))
        assert row.score.lesion_dice == pytest.approx(metrics.lesion_wise(one, other, spacing).dice)
        assert row.score.true_mm3 == pytest.approx(other.sum() * np.prod(spacing))


def test_scores_are_kept_until_something_changes(workspace: Workspace, tmp_path):
    training, folder = make_validated(workspace), tmp_path / "scores"
    first = score_training(training, folder, 1)
    (kept,) = folder.iterdir()
    written = kept.stat().st_mtime_ns
    assert score_training(training, folder, 1) == first
    assert kept.stat().st_mtime_ns == written
    changed = training.folder / "validation" / "case_000.nii.gz"
    sitk.WriteImage(sitk.ReadImage(str(changed)) * 0, str(changed))
    again = score_training(training, folder, 1)
    assert [row.score.predicted_mm3 for row in again if row.case == "case_000"] == [0, 0, 0]
    assert again[3:] == first[3:]
    kept.write_text("[]", encoding="utf-8")
    assert score_training(training, folder, 1) == again


def test_labels_without_regions_are_judged_one_by_one_and_ignored_voxels_by_nobody(workspace: Workspace, tmp_path):
    description = read_json(workspace.dataset.raw / "dataset.json", "")
    del description["tf"]
    description["labels"] = {"background": 0, "core": 1, "rest": 2, "ignore": 3}
    write_json(workspace.dataset.raw / "dataset.json", description)
    rows = score_training(make_validated(workspace), tmp_path, 1)
    assert [row.score.region for row in rows[:2]] == ["core", "rest"]
    truth = sitk.GetArrayFromImage(sitk.ReadImage(str(workspace.dataset.raw / "labelsTr" / "case_000.nii.gz")))
    predicted = np.roll(truth, 1, axis=0)
    counts = truth != 3
    assert rows[0].score.dice == pytest.approx(metrics.dice((predicted == 1) & counts, (truth == 1) & counts))


def test_a_segmentation_of_another_size_is_refused(workspace: Workspace, tmp_path):
    training = make_validated(workspace)
    path = training.folder / "validation" / "case_000.nii.gz"
    sitk.WriteImage(sitk.ReadImage(str(path))[:-1], str(path))
    with pytest.raises(UserError, match=r"case_000\.nii\.gz has .* voxels and its truth"):
        score_training(training, tmp_path / "scores", 1)
    assert not (tmp_path / "scores").exists()


def test_damage_and_strangers_are_refused(workspace: Workspace, tmp_path):
    training = make_validated(workspace)
    path = training.folder / "validation" / "case_000.nii.gz"
    sound = path.read_bytes()
    path.write_bytes(sound[: len(sound) // 2])
    with pytest.raises(UserError, match=r"case_000\.nii\.gz cannot be read, it is damaged"):
        score_training(training, tmp_path / "scores", 1)
    path.write_bytes(sound)
    path.with_name("case_001.nii.gz").write_bytes(sound)  # trains in this fold
    with pytest.raises(UserError, match=r"does not hold the segmentations of the fold's .* \(first: case_001\)"):
        score_training(training, tmp_path / "scores", 1)


def test_a_region_that_neither_has_is_kept_too(workspace: Workspace, tmp_path):
    training = make_validated(workspace)
    truths = workspace.dataset.preprocessed / "gt_segmentations"
    for folder in (truths, training.folder / "validation"):
        image = sitk.ReadImage(str(folder / "case_000.nii.gz"))
        sitk.WriteImage(sitk.ChangeLabel(image, {3: 1}), str(folder / "case_000.nii.gz"))
    first = score_training(training, tmp_path / "scores", 1)
    assert score_training(training, tmp_path / "scores", 1) == first
    enhancing = next(row.score for row in first if (row.case, row.score.region) == ("case_000", "ET"))
    assert (enhancing.dice, enhancing.lesion_f1_2026, enhancing.hd95_2026) == (1.0, None, None)


def test_neither_there_nor_predicted():
    empty = np.zeros((4, 4, 4), bool)
    score = score_region("ET", empty, empty, (1, 1, 1))
    assert score.dice == 1
    assert np.isnan(score.nnunet_dice)
    full = ~empty
    assert score_region("ET", full, empty, (1, 1, 1)).nnunet_dice == 0
