"""How much of what a baseline labels by itself is tumour? On real scans and on stand-ins whose labels were hidden.

    python -m benchmarks.pseudo_labels FOLDER [--train]

Real scans: in each of the three folds of Dataset531, four of the twelve training cases are converted anew without their
labels, a baseline is trained on the other eight, and nnUNetv2_tf_sets --pseudolabel has it label the four.
"""

import argparse
import sys
from pathlib import Path

from benchmarks.africa import ALL_PLANS, STEERING_FOLDS, prepare_hidden
from benchmarks.commands import run
from nnunetv2_tf.baseline.checkpoint import Baseline

TRAINER = "TFBaselineTrainer_4epochs_seed0_bf16"


def train(root: Path) -> None:
    """Prepare what is missing, and train each fold's baseline without the hidden cases."""
    for fold in range(STEERING_FOLDS):
        labelled, _ = prepare_hidden(root, fold)
        if not Baseline(labelled, TRAINER, ALL_PLANS, "3d_fullres", 0).path.exists():
            options = ["-tr", TRAINER, "-p", ALL_PLANS, "-device", "cpu", "--c"]
            run("nnUNetv2_train", labelled.number, "3d_fullres", "0", *options, nnUNet_n_proc_DA="0")
        print(f"fold {fold}: {labelled.name} is trained", flush=True)


def main() -> int:
    """Train what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders are, as benchmarks.africa makes them")
    arguments = parser.parse_args()
    train(arguments.root.resolve())
    return 0


if __name__ == "__main__":
    sys.exit(main())
