"""How much room the paper's three tables want at real size, and how long nnU-Net's trainings take on a GPU.

    python -m benchmarks.paper_room FOLDER [-healthy 800]

FOLDER is that of benchmarks.africa, where Dataset531 is planned: its first scans, preprocessed at 1 mm, are taken for
those of BraTS 2023. By the rules of `nnUNetv2_tf_benchmark plan`: cases, healthy scans, and of each training two
checkpoints. -healthy says how many healthy scans there are (IXI has about 580, PPMI's number is for you to know).
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.africa import ALL_PLANS, STEERING
from benchmarks.commands import enter
from nnunetv2_tf.benchmark.disk import GB, bytes_of_training
from nnunetv2_tf.benchmark.paper import PRINTED, SEEDS
from nnunetv2_tf.benchmark.paper_matrix import CONFIGURATION, FEATURES, PATCH
from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.working_space.network_plans import give_network
from nnunetv2_tf.working_space.preprocess import Plan, preprocess_cases

DATASET, PLANS = Dataset(STEERING), ALL_PLANS
EXAMPLES, REAL = 3, 300  # scans that are preprocessed; labelled ones of the paper
HOURS = 9.0  # of 1000 epochs on an A100 with 40 GB, as nnU-Net's documentation of its residual encoders has it
EPOCHS = 100


def real_size() -> Plan:
    """Return the paper's network at 1 mm."""
    plan = Plan.read(DATASET, PLANS, CONFIGURATION)
    give_network(plan.plans, PATCH, FEATURES)
    plan.plans["configurations"][CONFIGURATION]["spacing"] = [1.0, 1.0, 1.0]
    return plan


def main() -> int:
    """Print the room, part by part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, metavar="FOLDER")
    parser.add_argument("-healthy", type=int, default=800, metavar="N", help="healthy scans (default: 800)")
    arguments = parser.parse_args()
    enter(arguments.root.resolve())
    plan, cases = real_size(), list(raw_cases(DATASET).values())[:EXAMPLES]
    raw = float(np.mean([sum(path.stat().st_size for path in (*case.images, case.label)) for case in cases]))
    with tempfile.TemporaryDirectory() as folder:
        list(preprocess_cases(plan, cases, Path(folder) / "arrays", 1))
        stored = sum(path.stat().st_size for path in (Path(folder) / "arrays").iterdir()) / len(cases)
    most = {row.method: max(one.num_cases for one in PRINTED if one.method == row.method) for row in PRINTED}
    made, trainings = SEEDS * sum(most.values()), SEEDS * len(PRINTED)
    parts = {
        f"{REAL} labelled scans, preprocessed": REAL * stored,
        f"{arguments.healthy} healthy scans, converted and preprocessed": arguments.healthy * (raw + stored),
        f"{made} synthetic cases": made * (raw + stored),
        f"{trainings} trainings": trainings * bytes_of_training(plan),
    }
    print(f"A case: {raw / 1e6:.1f} MB in nnUNet_raw, {stored / 1e6:.1f} MB in nnUNet_preprocessed.")
    for name, size in parts.items():
        print(f"{name}: {size / GB:.0f} GB")
    print(f"In all: {sum(parts.values()) / GB:.0f} GB, besides pools of fits, logs and segmentations")
    hours = trainings * HOURS * EPOCHS / 1000
    print(f"{trainings} trainings of {EPOCHS} epochs: {hours:.0f} hours of an A100, without fits")
    return 0


if __name__ == "__main__":
    sys.exit(main())
