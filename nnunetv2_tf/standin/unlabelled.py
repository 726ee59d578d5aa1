"""Stand-in patients whose labels are hidden. In: a cohort. Out: a dataset of unlabelled scans; the truth elsewhere."""

import shutil
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunetv2_tf.conversion.brats.dataset import UNLABELLED
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.standin.cohort import StandinCohort


def write_unlabelled(
    cohort: StandinCohort, dataset: Dataset, num_cases: int, seed: int, prefix: str, truth: Path
) -> list[str]:
    """Write patients' scans with the brain as label, and their own labels into the folder `truth`; return names."""
    names = cohort.write_dataset(dataset.raw, num_cases, seed, prefix)
    truth.mkdir(parents=True)
    for name in names:
        label = dataset.raw / "labelsTr" / f"{name}.nii.gz"
        shutil.move(label, truth / label.name)
        scan = sitk.ReadImage(str(dataset.raw / "imagesTr" / f"{name}_0000.nii.gz"))
        brain = sitk.GetImageFromArray((sitk.GetArrayFromImage(scan) != 0).astype(np.uint8))
        brain.CopyInformation(scan)
        sitk.WriteImage(brain, str(label), useCompression=True)
    path = dataset.raw / "dataset.json"
    write_json(path, read_json(path, "") | UNLABELLED)
    return names
