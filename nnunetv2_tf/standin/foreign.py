"""Synthetic cases as if from another program. In: a dataset and a fold. Out: a folder of cases, with ancestors.json."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunetv2_tf.dataset.cases import dataset_json, raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.folds import fold_split
from nnunetv2_tf.io.arguments import Fold
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import write_json
from nnunetv2_tf.standin.anatomy import Kind
from nnunetv2_tf.standin.brains import Brains


def write_foreign_cases(
    dataset: Dataset, fold: Fold, folder: Path, num_cases: int, seed: int, kind: Kind = "procedural"
) -> None:
    """Write imagesTr, labelsTr and ancestors.json (two training cases of the fold for each case)."""
    real = raw_cases(dataset)
    training = fold_split(dataset, fold, real).train
    names = [f"synthetic_{index:04d}" for index in range(num_cases)]
    like(dataset, next(iter(real.values())).images[0], kind).write_cases(folder, names, seed + 1000)
    rng = np.random.default_rng(seed)
    ancestors = {name: sorted(rng.choice(training, 2, replace=False).tolist()) for name in names}
    write_json(folder / "ancestors.json", ancestors)


def like(dataset: Dataset, example: Path, kind: Kind) -> Brains:
    """Return a cohort with the grid, channels, labels and orientation of a dataset."""
    description = dataset_json(dataset)
    if description["file_ending"] != ".nii.gz":
        raise UserError(f"{dataset.name} has {description['file_ending']} files; stand-ins are .nii.gz only.")
    image = sitk.ReadImage(str(example))
    return Brains(
        shape=image.GetSize()[::-1],
        spacing=image.GetSpacing()[::-1],
        direction=image.GetDirection(),
        kind=kind,
        channel_names=tuple(description["channel_names"].values()),
        labels={name: value for name, value in description["labels"].items() if name != "ignore"},
    )
