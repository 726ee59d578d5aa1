"""By hand; and, exhaustively, against the scorer of the challenge itself, which runs in an environment of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from nnunetv2_tf.benchmark.brats_2026 import brats_2026, matched_lesions

REGIONS = {"wt": (1, 2, 3), "tc": (1, 3), "et": (3,)}
OFFICIAL = {
    "hd95_2026": "global_bin_hd95", "nsd_2026": "global_bin_nsd", "lesion_dice_2026": "sq_dsc",
    "lesion_hd95_2026": "sq_hd95", "lesion_nsd_2026": "sq_nsd", "lesion_f1_2026": "rq",
}  # fmt: skip
EMPTY = np.zeros((8, 8, 12), bool)


def box(*starts: int, side: int = 2) -> np.ndarray:
    """Cubes along the last axis."""
    mask = EMPTY.copy()
    for start in starts:
        mask[2 : 2 + side, 2 : 2 + side, start : start + side] = True
    return mask


def test_one_lesion_found_one_missed_one_false():
    found = brats_2026(box(0, 9), box(0, 5), (1, 1, 1))
    assert (found.lesion_dice_2026, found.lesion_hd95_2026, found.lesion_nsd_2026) == (1.0, 0.0, 1.0)
    assert found.lesion_f1_2026 == pytest.approx(2 / 4)
    assert found.nsd_2026 == pytest.approx(0.5)


def test_a_lesion_is_matched_once_with_the_best_of_those_that_overlap():
    predicted, true = np.zeros((2, 1, 1, 9), int)
    predicted[..., 0:2], predicted[..., 3:8] = 1, 2
    true[..., 1:8] = 1
    assert matched_lesions(predicted, true) == [(2, 1)]


def test_lesions_that_nearly_touch_are_two():
    truth = box(1, 4)
    assert brats_2026(truth, truth, (1, 1, 1)).lesion_f1_2026 == 1
    assert brats_2026(box(1), truth, (1, 1, 1)).lesion_f1_2026 == pytest.approx(2 / 3)


def test_empty_masks():
    assert all(value is None for value in vars(brats_2026(EMPTY, EMPTY, (1, 1, 1))).values())
    for prediction, truth in ((EMPTY, box(1)), (box(1), EMPTY)):
        assert tuple(vars(brats_2026(prediction, truth, (1, 1, 1))).values()) == (373.0, 0.0, 0.0, 373.0, 0.0, 0.0)


def test_distances_are_in_mm():
    assert brats_2026(box(1), box(3), (1, 1, 2.5)).hd95_2026 == pytest.approx(5.0)


def blobs(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Prediction and truth with many lesions of three classes."""
    field = ndimage.gaussian_filter(rng.normal(size=(30, 36, 32)), 2.2)
    noise = ndimage.gaussian_filter(rng.normal(size=field.shape), 1.0)
    fields = (field / field.std() + 0.3 * noise / noise.std(), field / field.std())
    prediction, truth = (np.select([each > 2.1, each > 1.7, each > 1.3], [3, 1, 2], 0) for each in fields)
    return prediction.astype(np.uint8), truth.astype(np.uint8)


@pytest.mark.exhaustive
def test_the_challenges_scorer_says_the_same(tmp_path: Path):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    binaries = tmp_path / "venv" / "bin"
    subprocess.run([binaries / "pip", "install", "-q", "brats-evaluation==0.0.10"], check=True, env=clean)
    pairs = [blobs(np.random.default_rng(seed)) for seed in range(4)]
    pairs.append((np.zeros_like(pairs[0][0]), pairs[0][1]))  # nothing predicted
    pairs.append((pairs[0][0], np.where(pairs[0][1] == 3, 0, pairs[0][1]).astype(np.uint8)))  # one class is not there
    for name, which in (("pred", 0), ("ref", 1)):
        (tmp_path / name).mkdir()
        for index, pair in enumerate(pairs):
            path = tmp_path / name / f"BraTS-GLI-{index:05d}-000.nii.gz"
            sitk.WriteImage(sitk.GetImageFromArray(pair[which]), str(path))
    places = [
        "--ref_path",
        tmp_path / "ref",
        "--pred_path",
        tmp_path / "pred",
        "--summary_json",
        tmp_path / "said.json",
    ]
    subprocess.run([binaries / "brats-evaluate", *places, "--config", "gli"], check=True, env=clean)
    said = json.loads((tmp_path / "said.json").read_text(encoding="utf-8"))["metrics"]
    assert len(said) == len(pairs)
    for case, (prediction, truth) in zip(said, pairs, strict=True):
        for region, values in REGIONS.items():
            ours = vars(brats_2026(np.isin(prediction, values), np.isin(truth, values), (1, 1, 1)))
            for name, theirs in OFFICIAL.items():
                expected = case[region][theirs]
                expected = None if np.isnan(expected) else pytest.approx(min(expected, 373.0), abs=1e-9)
                assert ours[name] == expected, (case["subject_name"], region, name)
