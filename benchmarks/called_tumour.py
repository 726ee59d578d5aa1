"""What of patients' healthy tissue does a classifier take for tumour that has learnt from synthetic cases alone?

    python -m benchmarks.called_tumour FOLDER SET ...

FOLDER is that of benchmarks.starting_line; sets are of fold 0. Trains the report's voxel classifiers (three seeds) on
the fold's real training cases, and on each set's cases, and lets them look at the cases that validate. Prints by depth
under the brain's surface how much of what is 4 mm and more from the tumour they take for tumour, and for ET; how much
of the tumour, and of ET, they find; and, wherever a line is drawn, how well they tell these from what is healthy.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from benchmarks.commands import enter
from benchmarks.host_brightness import AWAY
from benchmarks.starting_line import DATASET
from nnunetv2_tf.geometry.distances import depth_in, distance_within
from nnunetv2_tf.quality.voxel_classifier import Samples, Scan, VoxelClassifier, voxel_features
from nnunetv2_tf.report.measured_set import MeasuredSet
from nnunetv2_tf.report.usefulness import sampled_cases, scan_of
from nnunetv2_tf.training.auc import auc
from nnunetv2_tf.working_space.stored import OpenCase

DEEP, ET, SEEDS = 20.0, 3, 3  # mm; label; classifiers
COLUMNS = (
    "up to 20 mm: tumour", "ET", "deeper: tumour", "ET", "tumour found", "ET found", "AUC of tumour", "AUC of ET"
)  # fmt: skip


def learnt(cases: Iterable[OpenCase], number: int) -> list[VoxelClassifier]:
    """Return classifiers that have learnt from so many cases."""
    samples = Samples.joined(sampled_cases(cases, 0, "Voxels", number))
    return [VoxelClassifier(seed).fit(samples) for seed in range(SEEDS)]


def shares(model: VoxelClassifier, scan: Scan, features: np.ndarray) -> list[float]:
    """Return the columns of one case, in percent."""
    label, tumour = model.segmentation(scan, features), scan.label > 0
    healthy = scan.organ & (distance_within(tumour, scan.spacing, 2 * AWAY) > AWAY)
    deep = depth_in(scan.organ | tumour, scan.spacing) > DEEP
    where = [(healthy & ~deep, label > 0), (healthy & ~deep, label == ET), (healthy & deep, label > 0)]
    where += [(healthy & deep, label == ET), (tumour, label > 0), (scan.label == ET, label == ET)]
    found = [100 * float(called[place].mean()) if place.any() else np.nan for place, called in where]
    chances, classes = model.trees.predict_proba(features[:, model.features]), np.array(model.trees.classes_).tolist()
    told = {"tumour": 1 - chances[:, classes.index(0)], "ET": chances[:, classes.index(ET)]}
    healthy, tumour, is_et = (mask[scan.organ] for mask in (healthy, tumour, scan.label == ET))
    return [
        *found,
        100 * auc(told["tumour"][tumour], told["tumour"][healthy]),
        100 * auc(told["ET"][is_et], told["ET"][healthy]),
    ]


def main() -> None:
    """Print a row for real cases and for each set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders are")
    parser.add_argument("sets", nargs="+", metavar="SET")
    arguments = parser.parse_args()
    enter(arguments.root.resolve())
    sets = {name: MeasuredSet.of(DATASET, name, 0, 1, "cpu") for name in arguments.sets}
    first = next(iter(sets.values()))
    training = first.cohort.training.values()
    models = {"real": learnt((case.open() for case in training), len(training))}
    for name, measured in sets.items():
        models[name] = learnt((made.case for made in measured.made()), len(measured.part.manifest().accepted))
    rows: dict[str, list[list[float]]] = {name: [] for name in models}
    for name in first.validating:
        scan = scan_of(first.real[name].open())
        features = voxel_features(scan)
        for called, several in models.items():
            rows[called].append(np.mean([shares(model, scan, features) for model in several], axis=0).tolist())
    print(f"\n| learnt from | {' | '.join(COLUMNS)} |\n{'|---' * (len(COLUMNS) + 1)}|")
    for called, found in rows.items():
        print(f"| {called} | {' | '.join(f'{value:.2f} %' for value in np.nanmean(found, axis=0))} |")


if __name__ == "__main__":
    main()
