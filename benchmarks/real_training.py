"""nnU-Net trained on real scans on a CPU: the baseline, or the whole comparison with CarveMix.

`python -m benchmarks.real_training baseline|carvemix` prepares the thirty T1 scans of BraTS-Africa in
NNUNETV2_TF_REAL_DATA at 2.5 mm and follows africa_carvemix.json; run again it goes on where it stopped.
"""

import argparse
import sys
from pathlib import Path

from benchmarks.africa import ALL_PLANS, prepare_all
from benchmarks.commands import show

MATRIX = Path(__file__).parent / "africa_carvemix.json"
BASELINE = "TFBaselineTrainer_8epochs_seed0"  # of that matrix; 2000 iterations
EXACT = {"nnUNet_n_proc_DA": "0", "nnUNet_def_n_proc": "1"}  # with which a seed gives the same weights bit for bit


def main() -> int:
    """Prepare the data and train; return the exit code of the last command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real_training", description=__doc__)
    parser.add_argument("what", choices=["baseline", "carvemix"])
    parser.add_argument("-o", type=Path, default=Path("build/africa"), metavar="FOLDER", help="default: %(default)s")
    arguments = parser.parse_args()
    dataset = prepare_all(arguments.o.resolve())
    if arguments.what == "baseline":
        command = ["nnUNetv2_train", dataset.name, "3d_fullres", "0", "-tr", BASELINE, "-p", ALL_PLANS]
        return show(*command, "-device", "cpu", "--c", **EXACT)
    failed = show("nnUNetv2_tf_benchmark", "run", str(MATRIX), "-device", "cpu", "-np", "2", **EXACT)
    if failed == 2:
        return failed
    for action in ("collect", "verify"):
        failed = show("nnUNetv2_tf_benchmark", action, str(MATRIX), **EXACT) or failed
    return failed


if __name__ == "__main__":
    sys.exit(main())
