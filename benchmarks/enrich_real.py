"""Real scans at 3 mm, from raw folders to a trained model, by one command that is killed on the way.

    python -m benchmarks.enrich_real FOLDER

Eighteen patients (those that steer) and the healthy heads of ds002748, TF-Aug, trainings of one epoch. The command is
killed, and it alone, while it trains the baseline, fits, and trains with synthetic cases; each time the same command
goes on. Then it is run once more, and once with another seed. Prints what it said, how long each run took, and the
most memory that one of its processes had, but for those that went on by themselves after a kill. Run again, it goes on.
"""

import argparse
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.africa import steering_folder
from benchmarks.commands import BIN, enter
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.enrich.record import enrich_folder

LABELLED = Dataset("Dataset536_Africa3mm")
SET, TRAINER = "ta12", "TFBaselineTrainer_1epochs_seed0_bf16"
KILLED_IN = (f"-tr {TRAINER} ", "nnUNetv2_tf_fit ", f"-tr TFEnrichedTrainer_{SET}_1epochs_seed0_bf16 ")


def words(root: Path) -> list[str]:
    """Return the command."""
    healthy = Path(os.environ["NNUNETV2_TF_REAL_DATA"]) / "ds002748"
    return [
        *("nnUNetv2_tf_enrich", LABELLED.name, "3d_fullres", "0", "-raw_brats", str(steering_folder(root))),
        *("-healthy", "Dataset636_Healthy", "-raw_healthy", str(healthy), "-m", "tf_aug", "-num_cases", "12"),
        *("-s", SET, "-spacing", "3", "3", "3", "-p", "nnUNetPlans_3mm", "-tr", TRAINER, "--train"),
        *("-enriched_tr", f"TFEnrichedTrainer_{SET}_1epochs_seed0_bf16", "-device", "cpu", "-np", "1"),
    ]


def log() -> Path:
    """Return where all is noted that the commands say."""
    return enrich_folder(LABELLED) / f"{SET}.log"


def begun(part: str) -> int:
    """Return how often a command was begun."""
    return log().read_text(encoding="utf-8").count(part) if log().exists() else 0


def timed(command: list[str], killed_in: str = "") -> int | None:
    """Run the command, and kill it while such a command is at work; return its exit code, if it came to one."""
    before, start = begun(killed_in), time.monotonic()
    process = subprocess.Popen([str(BIN / command[0]), *command[1:]])
    while process.poll() is None:
        time.sleep(0.2)
        if killed_in and begun(killed_in) > before:
            time.sleep(10)
            process.send_signal(signal.SIGKILL)
            process.wait()
            print(f"\nkilled while at work: {killed_in.strip()}", flush=True)
    print(f"after {time.monotonic() - start:.1f} s, exit code {process.returncode}", flush=True)
    return process.returncode


def main() -> int:
    """Run, kill, go on, run again, change."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    root = parser.parse_args().root.resolve()
    enter(root)
    os.environ["nnUNet_n_proc_DA"] = "0"
    command = words(root)
    print(" ".join(command), flush=True)
    for part in KILLED_IN:
        if not begun(part):
            timed(command, part)
    codes = [timed(command), timed(command), timed([*command, "-seed", "1"])]
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
    print(f"exit codes {codes} (wanted: 0, 0, 2); the largest process had {peak:.1f} GB")
    return 0 if codes == [0, 0, 2] else 1


if __name__ == "__main__":
    sys.exit(main())
