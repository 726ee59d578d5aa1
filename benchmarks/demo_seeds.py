"""What `make demo` finds, over several seeds of stand-ins, cases and trainings.

    python -m benchmarks.demo_seeds FOLDER [-seeds 0 1 2 3 4] [-csv docs/results/demo.csv]

Five minutes a seed on two cores. A demo that is finished in FOLDER is not run again. Prints Dice by seed and arm, and
the mean difference to nnU-Net alone with Student's 95 % interval over seeds; the file has the same means by region.
"""

import argparse
import csv
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import stats

from nnunetv2_tf.io.files import whole_file
from scripts.demo_summary import REFERENCE, REGIONS, read_dice

Means = dict[int, dict[str, dict[str, float]]]  # seed, arm, region: mean Dice over cases


def run_demos(folder: Path, seeds: Sequence[int]) -> Means:
    """Run the demos that are missing, one after the other, and return the mean Dice of all."""
    means: Means = {}
    for seed in seeds:
        demo = folder / f"seed_{seed}"
        if not (demo / "demo.png").exists():
            subprocess.run([sys.executable, "-m", "scripts.demo", str(demo), "-seed", str(seed)], check=True)
        means[seed] = mean_dice(demo / "results" / "benchmark.csv")
    return means


def mean_dice(path: Path) -> dict[str, dict[str, float]]:
    """Return mean Dice over cases by arm and region, from what `nnUNetv2_tf_benchmark collect` wrote."""
    return {
        arm: {region: float(np.mean(list(regions[region].values()))) for region in REGIONS}
        for arm, regions in read_dice(path).items()
    }


def table(means: Means, region: str) -> str:
    """Return a Markdown table with a row for each seed, then the means, and their differences to nnU-Net alone."""
    arms = list(next(iter(means.values())))
    values = {arm: 100 * np.array([by_arm[arm][region] for by_arm in means.values()]) for arm in arms}
    lines = [f"| {region}, seed | " + " | ".join(arms) + " |", "|---" * (len(arms) + 1) + "|"]
    for row, seed in enumerate(means):
        lines.append(f"| {seed} | " + " | ".join(f"{values[arm][row]:.1f}" for arm in arms) + " |")
    lines.append("| mean | " + " | ".join(f"{values[arm].mean():.1f}" for arm in arms) + " |")
    differences = ["" if arm == REFERENCE else interval(values[arm] - values[REFERENCE]) for arm in arms]
    lines.append(f"| against {REFERENCE} | " + " | ".join(differences) + " |")
    return "\n".join(lines)


def interval(differences: np.ndarray) -> str:
    """Return the mean with Student's 95 % interval, as text."""
    mean = differences.mean()
    half = stats.t.isf(0.025, differences.size - 1) * differences.std(ddof=1) / np.sqrt(differences.size)
    return f"{mean:+.1f} ({mean - half:+.1f} to {mean + half:+.1f})"


def write_csv(means: Means, path: Path) -> None:
    """Write a row for each seed, arm and region."""
    with whole_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["seed", "arm", "region", "mean_dice"])
        for seed, by_arm in means.items():
            for arm, regions in by_arm.items():
                writer.writerows([seed, arm, region, f"{value:.4f}"] for region, value in regions.items())


def main() -> None:
    """Run the demos, print the tables, and write the CSV file if it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a folder for each seed is made in it")
    parser.add_argument("-seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], help="(default: 0 to 4)")
    parser.add_argument("-csv", type=Path, help="write the means to this file too")
    arguments = parser.parse_args()
    means = run_demos(arguments.folder, arguments.seeds)
    print("\n\n".join(["", *(table(means, region) for region in REGIONS)]))
    if arguments.csv is not None:
        write_csv(means, arguments.csv)


if __name__ == "__main__":
    main()
