"""Stand-in patients whose labels are hidden."""

import numpy as np
import SimpleITK as sitk

from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.standin.brains import Brains
from nnunetv2_tf.standin.unlabelled import write_unlabelled
from nnunetv2_tf.working_space.unlabelled import is_unlabelled


def read(path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def test_the_brain_is_the_label_and_the_truth_is_elsewhere(tmp_path, monkeypatch):
    for variable in ("nnUNet_raw", "nnUNet_preprocessed"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    dataset, cohort = Dataset("Dataset602_More"), Brains()
    names = write_unlabelled(cohort, dataset, 2, 4, "scan", tmp_path / "truth")
    assert is_unlabelled(dataset)
    for index, name in enumerate(names):
        image, label = cohort.draw(np.random.default_rng([4, index]))
        files = raw_cases(dataset)[name]
        assert np.array_equal(read(files.images[0]), image[0])
        assert np.array_equal(read(files.label), image[0] != 0)
        assert np.array_equal(read(tmp_path / "truth" / f"{name}.nii.gz"), label)
