"""Eight real T1 scans with gliomas (BraTS-Africa) as an nnU-Net dataset, made by the product's commands and nnU-Net's.

The scans are those in NNUNETV2_TF_REAL_DATA/BraTS-Africa; the first eight by name; four train and four validate.
"""

import os
from pathlib import Path

from benchmarks.commands import enter, run
from nnunetv2_tf.folders import Dataset

DATASET = "Dataset508_Africa8"


def prepare(root: Path, spacing: float | None = None) -> Dataset:
    """Converts, plans and preprocesses what is not there yet; with a spacing for plans called nnUNetPlansCoarse."""
    enter(root)
    dataset = Dataset(DATASET)
    name = "nnUNetPlans" if spacing is None else "nnUNetPlansCoarse"
    if not dataset.raw.exists():
        source = Path(os.environ["NNUNETV2_TF_REAL_DATA"]) / "BraTS-Africa"
        folder = root / "source"
        folder.mkdir()
        for case in sorted(path for path in source.iterdir() if path.is_dir())[:8]:
            (folder / case.name).symlink_to(case)
        options = ["-source", "2023-ssa", "-modalities", "t1n", "-num_train", "4", "-num_val", "4"]
        run(
            "nnUNetv2_tf_convert_brats",
            "-i",
            str(folder),
            "-d",
            "508",
            "-name",
            "Africa8",
            *options,
            nnUNet_def_n_proc="2",
        )
    if not (dataset.preprocessed / f"{name}_3d_fullres").exists():
        coarse = []
        if spacing is not None:
            coarse = ["-overwrite_target_spacing", *[f"{spacing:g}"] * 3, "-overwrite_plans_name", name]
        run(
            "nnUNetv2_plan_and_preprocess",
            "-d",
            "508",
            "-c",
            "3d_fullres",
            "-np",
            "2",
            "-npfp",
            "2",
            *coarse,
            nnUNet_def_n_proc="2",
        )
    return dataset
