"""Does it help? The first real comparison: nnU-Net alone, and with TumorCP, TF-GAN, TF-Aug and CarveMix.

    python -m benchmarks.does_it_help FOLDER [--plan] [-only NAME ...] [-np N]

18 gliomas of BraTS-Africa train and 12 validate (Dataset530_AfricaT1, T1 at 2.5 mm); healthy scans are all those in
NNUNETV2_TF_REAL_DATA. First africa_rivals.json: five arms, three seeds, fifteen trainings of 2,000 iterations. Then
africa_second.json: nnU-Net, TumorCP, and TF-Aug since its hosts are harmonised by depth, with two shares, another
seed; and africa_mixup.json beside the same baseline. Then africa_few_labels.json: three draws of 6 of the 18, three
arms, nine trainings. Last africa_more_methods.json: other methods, the filter, another share, and two planted faults,
with one seed, beside the same baseline: eight more. -np trainings at a time, one thread each, arm by arm within a seed,
so that what is finished is a result at any time; run again, it goes on. -only does some of the five.

Nothing is scored, and none of its output says how good a model is: scores are read once, when all have ended.
--plan prints what is left to do, how long that takes, and which difference can be shown at all.
"""

import argparse
import os
import sys
from pathlib import Path

from benchmarks.africa import ALL_PLANS, prepare_all
from benchmarks.commands import is_converted, run, show
from benchmarks.healthy_cohort import COLLECTIONS, NAME, NUMBER
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.registration.affines import affines_file

MATRICES = ("rivals", "second", "mixup", "few_labels", "more_methods")  # africa_<name>.json
EXACT = {"nnUNet_n_proc_DA": "0", "nnUNet_def_n_proc": "1", "OMP_NUM_THREADS": "1"}


def prepare(root: Path) -> None:
    """Convert and preprocess patients and healthy scans, as far as that is not done yet."""
    real = prepare_all(root)
    data = Path(os.environ["NNUNETV2_TF_REAL_DATA"])
    if not (is_converted(Dataset(f"Dataset{NUMBER}_{NAME}")) and affines_file(real, None).exists()):
        folders = [str(data / name) for name in COLLECTIONS]
        run(
            "nnUNetv2_tf_convert_healthy", "-i", *folders, "-d", NUMBER, "-name", NAME, "-reference", real.number,
            "-np", "1",
        )  # fmt: skip
    run(
        "nnUNetv2_tf_preprocess_healthy", "-d", real.number, "-healthy", NUMBER, "-p", ALL_PLANS, "-c", "3d_fullres",
        "-np", "1",
    )  # fmt: skip


def main() -> int:
    """Prepare, and train what is missing; return the exit code of the first command that failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders go")
    parser.add_argument("--plan", action="store_true", help="train nothing")
    parser.add_argument("-only", choices=MATRICES, nargs="+", default=MATRICES, help="which to do (default: all)")
    parser.add_argument("-np", type=int, default=1, help="trainings at a time; their results do not depend on it")
    arguments = parser.parse_args()
    prepare(arguments.root.resolve())
    options = ["plan"] if arguments.plan else ["run"]
    for name in arguments.only:
        matrix = Path(__file__).parent / f"africa_{name}.json"
        limits = [] if arguments.plan else ["-device", "cpu", "-np", str(arguments.np)]
        failed = show("nnUNetv2_tf_benchmark", *options, str(matrix), *limits, **EXACT)
        if failed:
            return failed
    return 0


if __name__ == "__main__":
    sys.exit(main())
