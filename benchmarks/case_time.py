"""How long does a case of each method take, against reading and writing the same files?

    python -m benchmarks.case_time FOLDER [-m METHOD:PRESET ...] [-f 0]

FOLDER is that of benchmarks.starting_line, where the methods that learn have been fitted. One thread, one process,
interleaved pairs, as benchmarks.coarse_time, which says what the reference does. Each method makes the usable ones of
its recipe's first eight lines, with what is kept of hosts on disk already; nothing is checked or filtered.
"""

import argparse
import sys
import tempfile
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import torch

from benchmarks.coarse_time import make, read_and_write
from benchmarks.commands import enter
from benchmarks.ratios import Ratio, interleaved
from benchmarks.starting_line import DATASET, HEALTHY, METHODS, PLANS
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.io.parallel import use_one_thread
from nnunetv2_tf.methods.lookup import SelectedMethod, find_method
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.synthesis.case_maker import CaseTask
from nnunetv2_tf.synthesis.cohort import Cohort
from nnunetv2_tf.synthesis.fit_result import learns
from nnunetv2_tf.synthesis.fitting import find_fit
from nnunetv2_tf.synthesis.host_pool import HostPool
from nnunetv2_tf.synthesis.placing_pools import HealthyHostPool, hosts_for
from nnunetv2_tf.working_space.preprocess import Plan

LINES, PAIRS, SEED = 8, 16, 0


@dataclass(frozen=True)
class Cases:
    """The making of one method's cases."""

    method: SelectedMethod
    hosts: HostPool
    scratch: Path
    todo: list[CaseTask] = field(default_factory=list)

    def find_usable(self) -> None:
        """Make all cases once, so that what is kept of hosts is there; go on with those that came to be."""
        dataset = self.hosts.cohort.dataset
        part = SetPart(dataset, "casetime" + self.method.name.replace("_", ""), self.hosts.cohort.fold)
        part.remove()
        fit = (
            find_fit(self.hosts, self.method)
            if isinstance(self.hosts, HealthyHostPool) and learns(self.method)
            else None
        )
        for line in self.hosts.lines(LINES):
            task = CaseTask(
                host=self.hosts.cases[line.host],
                site_builder=self.hosts.site_builder(line),
                method=self.method,
                part=part,
                geometry_ancestors=tuple(self.hosts.cohort.files),
                fit=fit,
            )
            make(task)
            if part.sidecar_path(task.identifier).exists():
                self.todo.append(task)

    def ratio(self) -> Ratio:
        """Return making over reading and writing."""
        made, copied = cycle(self.todo), cycle(self.todo)
        training = self.hosts.cohort.training

        def reference() -> float:
            task = next(copied)
            donors = [training[name] for name in task.line.donors if name in training]
            return read_and_write(task, donors, self.scratch)

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
        with tempfile.TemporaryDirectory() as scratch:
            cases = Cases(method, hosts_for(method, cohort, SEED, {}, 1), Path(scratch))
            cases.find_usable()
            ratio = cases.ratio()
            print(f"{name}, {len(cases.todo)} cases: {ratio.median * ratio.reference:.2f} s; {ratio}", flush=True)
            cases.todo[0].part.remove()
    return 0


if __name__ == "__main__":
    sys.exit(main())
