"""Synthetic stand-in cases as another program might deliver them: a folder and who descends from whom."""

from pathlib import Path

import numpy as np

from nnunetv2_tf.arguments import Fold
from nnunetv2_tf.cases import raw_cases
from nnunetv2_tf.folders import Dataset
from nnunetv2_tf.folds import fold_split
from nnunetv2_tf.standin.spheres import Spheres
from nnunetv2_tf.work import write_json


def write_foreign_cases(dataset: Dataset, fold: Fold, folder: Path, num_cases: int, seed: int) -> None:
    """Writes imagesTr, labelsTr and ancestors.json (two training cases of the fold each)."""
    training = fold_split(dataset, fold, raw_cases(dataset)).train
    names = [f"synthetic_{index:04d}" for index in range(num_cases)]
    Spheres().write_cases(folder, names, seed + 1000)
    rng = np.random.default_rng(seed)
    ancestors = {name: sorted(rng.choice(training, 2, replace=False).tolist()) for name in names}
    write_json(folder / "ancestors.json", ancestors)
