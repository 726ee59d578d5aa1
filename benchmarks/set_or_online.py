"""A set, or new cases in every batch? The same method, the same share, equally many steps.

    python -m benchmarks.set_or_online FOLDER [-seeds 0 1 2 3 4] [-csv docs/results/online.csv]
    python -m benchmarks.set_or_online FOLDER --real

On stand-ins, those of the demo: four patients train, twelve validate, sixteen healthy people; nnU-Net alone, with 32 of
TumorCP's cases in healthy scans, and with new ones of it; half of what is drawn is synthetic; a seed draws other
stand-ins, cases and trainings. Prints tables of Dice with Student's 95 % interval over seeds. With --real, FOLDER is
that of benchmarks.starting_line: steer_online.json on Dataset531, 24 cases of TumorCP in patients against new ones,
three folds, one seed; tables and intervals are nnUNetv2_tf_benchmark's. What is finished is not done again.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.commands import enter, run, show
from benchmarks.demo_seeds import Means, interval, mean_dice, table, write_csv
from nnunetv2_tf.io.files import write_json
from scripts.demo import PATIENTS, PEOPLE, PLANS, STAND_INS, Settings
from scripts.demo_summary import REGIONS

SETTINGS = replace(Settings(), percent=50)
EXACT = {"nnUNet_n_proc_DA": "0", "nnUNet_def_n_proc": "1", "OMP_NUM_THREADS": "1"}
REAL = Path(__file__).parent / "steer_online.json"


def matrix(seed: int) -> dict:
    """Return what is compared on a seed's stand-ins."""
    share = {"method": "tumorcp", "healthy": 998, "percent": SETTINGS.percent}
    arms: list[dict] = [
        {"name": "nnU-Net", "method": None},
        {"name": "set", "num_cases": SETTINGS.num_cases, **share},
        {"name": "online", "online": True, **share},
    ]
    return {
        "datasets": [999], "configuration": "3d_fullres", "plans": PLANS, "folds": [0], "seeds": [seed],
        "epochs": SETTINGS.epochs, "baseline": "nnU-Net", "arms": arms,
    }  # fmt: skip


def prepare(folder: Path, seed: int) -> None:
    """Make, plan and preprocess a seed's stand-ins."""
    enter(folder)
    made = SETTINGS
    shape = [str(made.size), str(made.size * 6 // 5), str(made.size)]
    dataset = ["dataset", *STAND_INS.split(), "-shape", *shape, "-seed", str(seed)]
    patients = ["-num_cases", str(made.num_train + made.num_val), "-num_train", str(made.num_train)]
    run("python", "-m", "nnunetv2_tf.standin", *dataset, "-name", PATIENTS, *patients)
    run(
        "python",
        "-m",
        "nnunetv2_tf.standin",
        *dataset,
        "-name",
        PEOPLE,
        "-num_cases",
        str(made.num_healthy),
        "--healthy",
    )
    run("nnUNetv2_plan_and_preprocess", "-d", "999", "-c", "3d_fullres", "-np", "2", "-npfp", "2")
    size = ["-patch", str(made.patch), "-width", str(made.width)]
    run("python", "-m", "nnunetv2_tf.standin", "plans", "-d", "999", *size)
    write_json(folder / "matrix.json", matrix(seed))


def compare(folder: Path, seed: int) -> dict[str, dict[str, float]]:
    """Train and score what is missing of a seed; return mean Dice by arm and region."""
    scores = folder / "results" / "benchmark.csv"
    if not (folder / "matrix.json").exists():
        prepare(folder, seed)
    enter(folder)
    if not scores.exists():
        files = [str(folder / "matrix.json"), "-o", str(folder / "results")]
        if show("nnUNetv2_tf_benchmark", "run", *files, "-device", "cpu", "-np", "2", "--allow_changes", **EXACT):
            raise SystemExit(1)
        if show("nnUNetv2_tf_benchmark", "collect", *files, "-np", "1"):
            raise SystemExit(1)
    return mean_dice(scores)


def on_standins(root: Path, seeds: Sequence[int], path: Path | None) -> int:
    """Compare on stand-ins, and print the tables."""
    means: Means = {seed: compare(root / f"seed_{seed}", seed) for seed in seeds}
    print(
        "\n\n".join(
            ["", *(table(means, region) for region in REGIONS), *(new_against_set(means, region) for region in REGIONS)]
        )
    )
    if path is not None:
        write_csv(means, path)
    return 0


def new_against_set(means: Means, region: str) -> str:
    """Return by how much a seed's new cases are better than its set, as a line."""
    differences = [100 * (by_arm["online"][region] - by_arm["set"][region]) for by_arm in means.values()]
    return f"{region}, online against set: {interval(np.array(differences))}"


def on_real(root: Path) -> int:
    """Compare on real scans, by the benchmark's own commands."""
    enter(root)
    files = [str(REAL), "-o", str(root / "steer_online")]
    for command, options in (("run", ["-device", "cpu", "-np", "2"]), ("collect", ["-np", "1"])):
        code = show("nnUNetv2_tf_benchmark", command, *files, *options, **EXACT)
        if code:
            return code
    return 0


def main() -> int:
    """Compare; return an exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, metavar="FOLDER")
    parser.add_argument("-seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], help="(default: 0 to 4)")
    parser.add_argument("-csv", type=Path, help="write the means to this file too")
    parser.add_argument("--real", action="store_true", help="on real scans instead of stand-ins")
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    return on_real(root) if arguments.real else on_standins(root, arguments.seeds, arguments.csv)


if __name__ == "__main__":
    sys.exit(main())
