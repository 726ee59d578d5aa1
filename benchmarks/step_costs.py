"""How long does each command take on real scans, and how much memory does its largest process want?

    NNUNETV2_TF_REAL_DATA=... python -m benchmarks.step_costs FOLDER

FOLDER is that of benchmarks.front_picture, whose datasets and baseline this uses and whose fit it makes anew. Commands
run one after the other, each with -np 1; the table is Markdown.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from benchmarks.africa import ALL_PLANS, STEERING, prepare_steering
from benchmarks.commands import BIN, SETTINGS
from benchmarks.front_picture import BASELINE, HEALTHY, NAME

MADE = 10
MIB = 1024  # KiB, in which Linux counts


def steps(root: Path) -> list[tuple[str, list[str]]]:
    """Return what is measured: its name, and its command."""
    data = Path(os.environ["NNUNETV2_TF_REAL_DATA"])
    plans = ["-p", ALL_PLANS]
    place, healthy = ["531", "3d_fullres", "0"], ["-healthy", HEALTHY]
    cases = ["-num_cases", str(MADE), "-np", "1", "--overwrite", *plans]
    make, coarse = ["nnUNetv2_tf_synthesize", *place], ["-m", "tf_aug", *healthy, *plans]
    fit = ["nnUNetv2_tf_fit", *place, *coarse, "-tr", BASELINE, "-device", "cpu", "--overwrite"]
    brats = ["-i", str(root / "steering"), "-source", "2023-ssa", "-modalities", "t1n", "-d", "532", "-name", "Costs"]
    people = ["-i", str(data / "ds002748"), "-d", "632", "-name", "Costs", "-reference", "531", "-np", "1"]
    heads = ["-i", str(root / "heads"), "-d", "633", "-name", "Heads", "-reference", "531", "-np", "1"]
    return [
        ("convert_brats, 18 cases, T1", ["nnUNetv2_tf_convert_brats", *brats, "-np", "1"]),
        ("convert_healthy, 12 scans, stripped already", ["nnUNetv2_tf_convert_healthy", *people]),
        ("convert_healthy, 6 whole heads of 2 mm", ["nnUNetv2_tf_convert_healthy", *heads]),
        ("preprocess_healthy, 12 scans, 2.5 mm", ["nnUNetv2_tf_preprocess_healthy", "-d", "531", *healthy, *plans]),
        (f"synthesize carvemix, {MADE} cases", [*make, "-m", "carvemix", "-s", "costcm", *cases]),
        ("fit tf_aug, 2.5 mm", fit),
        (f"synthesize tf_aug, {MADE} cases", [*make, *coarse, "-s", "costta", *cases]),
    ]


def cost(command: Sequence[str]) -> tuple[float, float]:
    """Run a command; return its seconds, and the peak memory of its largest process in GiB."""
    program = "import resource, subprocess, sys; code = subprocess.run(sys.argv[1:]).returncode; "
    program += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"
    start = perf_counter()
    environment = {**os.environ, **SETTINGS}
    whole = [sys.executable, "-c", program, str(BIN / command[0]), *command[1:]]
    done = subprocess.run(whole, env=environment, capture_output=True, encoding="utf-8")
    if done.returncode > 1:  # 1: some scans were left out
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
    return perf_counter() - start, int(done.stdout.splitlines()[-1]) / MIB / MIB


def main() -> None:
    """Print a line for each step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders are")
    root = parser.parse_args().root.resolve()
    dataset = prepare_steering(root)
    assert (dataset.name, NAME) == (STEERING, "Healthy12")
    (root / "heads").mkdir(exist_ok=True)
    for path in sorted((Path(os.environ["NNUNETV2_TF_REAL_DATA"]) / "IXI-T1").glob("*.nii.gz"))[:6]:
        link = root / "heads" / path.name
        link.unlink(missing_ok=True)
        link.symlink_to(path)
    print("| step | seconds | GiB |\n|---|---|---|", flush=True)
    for name, command in steps(root):
        seconds, gib = cost(command)
        print(f"| {name} | {seconds:.0f} | {gib:.1f} |", flush=True)


if __name__ == "__main__":
    main()
