"""Kills nnUNetv2_tf_synthesize at ten random times and continues it; the set must come out as if nothing had happened.

On eight real T1 scans at 1 mm. An undisturbed run is measured first: when it starts, when its first file of a case
appears, when its last case is complete, when it ends. Seven kills (SIGKILL to all its processes) are drawn uniformly
over the time in which cases are written, three over all of it. After each: what is finished, what lies about, and,
once the same command has run again, whether all files of the set are the same bytes and all preprocessed arrays the
same values.
The same goes for three jobs with -num_parts 3 at once.

    python -m benchmarks.kills [-o FOLDER] [-seed 0]
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, cast

import blosc2
import numpy as np

from benchmarks.africa import prepare
from benchmarks.commands import BIN
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.io.digests import file_digest
from nnunetv2_tf.sets.store import SetPart

NUM_CASES = 16
COMMAND = ["508", "3d_fullres", "0", "-m", "carvemix", "-num_cases", str(NUM_CASES), "-s", "killed", "-np", "2"]
WRITING, ANYTIME = 7, 3


def start(*extra: str) -> subprocess.Popen[bytes]:
    """Start the command in a process group of its own."""
    command = [str(BIN / "nnUNetv2_tf_synthesize"), *COMMAND, *extra]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def finish(*extra: str) -> None:
    """Run the command to its end; raise RuntimeError when it fails."""
    if start(*extra).wait():
        raise RuntimeError("the command failed")


def clear(dataset: Dataset) -> None:
    """Delete all sets, and the intensities that are kept too."""
    for folder in (dataset.sets, dataset.preprocessed / "tf"):
        shutil.rmtree(folder, ignore_errors=True)


def measured(dataset: Dataset, part: SetPart) -> tuple[float, float, float]:
    """Return the seconds until the first file of a case, the last case, and the end of an undisturbed run."""
    clear(dataset)
    began = time.monotonic()
    process = start()
    first = last = None
    while process.poll() is None:
        now = time.monotonic() - began
        if first is None and any(part.folder.glob("imagesTr/*")):
            first = now
        if last is None and finished(part) == NUM_CASES:
            last = now
        time.sleep(0.02)
    assert process.returncode == 0
    assert first is not None
    assert last is not None
    return first, last, time.monotonic() - began


def finished(part: SetPart) -> int:
    """Return how many cases are complete."""
    return len(list(part.folder.glob("sidecars/*.json")))


def temporary(dataset: Dataset) -> int:
    """Return how many hidden files and folders there are, which should not stay."""
    roots = (dataset.sets, dataset.preprocessed / "tf")
    return sum(path.name.startswith(".") for root in roots for path in root.rglob("*"))


def content(dataset: Dataset, part: SetPart) -> dict[str, Any]:
    """Return digests of all files of the set by their names, and of the values of preprocessed arrays."""
    digests: dict[str, Any] = {}
    for root in (part.folder, dataset.preprocessed / "tf"):
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            name = str(path.relative_to(root))
            if path.suffix == ".b2nd":
                array = cast(Any, blosc2.open(str(path), mode="r"))
                digests[name] = (array.shape, str(array.dtype), hash(array[:].tobytes()))
            else:
                digests[name] = file_digest(path)
    return digests


def main() -> int:
    """Print a table; return 1 when a set came out otherwise, else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "-o", type=Path, metavar="FOLDER", help="where the dataset is or goes (default: a temporary one)"
    )
    parser.add_argument("-seed", type=int, default=0, help="draws other times (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return kill_and_continue(arguments.o or Path(folder), np.random.default_rng(arguments.seed))


def kill_and_continue(root: Path, rng: np.random.Generator) -> int:
    """Kill and continue at ten times, and run three parts at once; print the table and return the exit code."""
    dataset = prepare(root)
    part = SetPart(dataset, "killed", 0)
    first, last, end = measured(dataset, part)
    expected = content(dataset, part)
    print(f"undisturbed: first case begins at {first:.1f} s, last one complete at {last:.1f} s, end at {end:.1f} s")
    times = sorted([*rng.uniform(first, last, WRITING), *rng.uniform(0, end, ANYTIME)])
    print(
        "| killed at (s) | cases being written | finished of " + str(NUM_CASES) + " | temporary | left after | equal |"
    )
    print("|---|---|---|---|---|---|")
    same = True
    for moment in times:
        clear(dataset)
        process = start()
        time.sleep(moment)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        done, lying = finished(part), temporary(dataset)
        writing = any(part.folder.glob("imagesTr/*")) and done < NUM_CASES
        finish()
        equal = content(dataset, part) == expected
        same &= equal
        left = temporary(dataset)
        same &= not left
        print(f"| {moment:.2f} | {'yes' if writing else 'no'} | {done} | {lying} | {left} | {equal} |", flush=True)
    clear(dataset)
    jobs = [start("-num_parts", "3", "-part_id", str(part_id)) for part_id in range(3)]
    codes = [job.wait() for job in jobs]
    if any(codes):
        raise RuntimeError("a part failed")
    parts = content(dataset, part) == expected
    print(f"-num_parts 3, all at once, equals one part: {parts}")
    return 0 if same and parts else 1


if __name__ == "__main__":
    sys.exit(main())
