"""How long does a case of each method take, against reading and writing the same files?

    python -m benchmarks.case_time FOLDER [-m METHOD:PRESET ...] [-f 0]

FOLDER is that of benchmarks.starting_line, where the methods that learn have been fitted. One thread, one process,
interleaved pairs, as benchmarks.coarse_time, which says what the reference does. Each method makes the usable ones of
its recipe's first eight lines, with what is kept of hosts on disk already; nothing is checked or filtered.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping
from itertools import cycle
from pathlib import Path

import torch

from benchmarks.coarse_time import make, read_and_write, tasks
from benchmarks.commands import enter
from benchmarks.ratios import Ratio, interleaved
from benchmarks.starting_line import DATASET, HEALTHY, METHODS, PLANS
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.io.workers import use_one_thread
from nnunetv2_tf.methods.lookup import find_method
from nnunetv2_tf.synthesis.case_maker import CaseTask
from nnunetv2_tf.synthesis.cohort import Cohort
from nnunetv2_tf.synthesis.fitting import fit_for
from nnunetv2_tf.synthesis.placing_pools import hosts_for
from nnunetv2_tf.working_space.preprocess import Plan
from nnunetv2_tf.working_space.stored import Case

PAIRS, SEED = 16, 0


def usable(todo: list[CaseTask]) -> list[CaseTask]:
    """Make all cases once, so that what is kept of hosts is there; return those that came to be."""
    todo[0].part.remove()
    for task in todo:
        make(task)
    return [task for task in todo if task.part.sidecar_path(task.identifier).exists()]


def measured(todo: list[CaseTask], training: Mapping[str, Case], scratch: Path) -> Ratio:
    """Return making over reading and writing."""
    made, copied = cycle(todo), cycle(todo)

    def reference() -> float:
        task = next(copied)
        donors = [training[name] for name in task.line.donors if name in training]
        return read_and_write(task, donors, scratch)

    return interleaved(reference, lambda: make(next(made)), PAIRS)


def main() -> int:
    """Print a line for each method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, metavar="FOLDER", help="where nnU-Net's folders are")
    parser.add_argument("-m", nargs="+", default=METHODS, metavar="METHOD:PRESET", help="default: all")
    parser.add_argument("-f", type=int, default=0, help="fold (default: 0)")
    arguments = parser.parse_args()
    enter(arguments.root.resolve())
    torch.set_num_threads(1)
    use_one_thread()
    plan, healthy = Plan.read(DATASET, PLANS, "3d_fullres"), Dataset.find(HEALTHY)
    for name in arguments.m:
        method = find_method(*name.split(":"))
        wanted = None if "real" in method.method_class.hosts else healthy
        cohort = Cohort(DATASET, plan, arguments.f, wanted)
        hosts = hosts_for(method, cohort, SEED, {}, 1)
        todo = usable(tasks(hosts, method, fit_for(hosts, method), "casetime" + method.name.replace("_", "")))
        with tempfile.TemporaryDirectory() as scratch:
            ratio = measured(todo, cohort.training, Path(scratch))
        print(f"{name}, {len(todo)} cases: about {ratio.median * ratio.reference:.2f} s; {ratio}", flush=True)
        todo[0].part.remove()
    return 0


if __name__ == "__main__":
    sys.exit(main())
