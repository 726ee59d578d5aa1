"""How long does a coarse case take, against reading and writing the same files?

    python -m benchmarks.coarse_time FOLDER [-d 531 -healthy 631 -p nnUNetPlans_1mm] [--profile]

FOLDER is that of benchmarks.placement: real and healthy scans at 1 mm; or any that holds these datasets, preprocessed.
One thread, one process, interleaved pairs. Ours makes a case of a recipe's line with tf_aug's default (a and b typed
in; what they are costs nothing): host and donor are read, the tumour is placed, the host harmonised, the tumour made,
the case written; with and without growth, on first use of a host (nothing is kept of it) and afterwards. The reference
reads the same files (host: scan, label and stored arrays; donor: stored arrays) with the same readers and writes the
two volumes back as they are. Goals: without growth at most 4 times the reference on first use, 2.5 times afterwards;
growth adds at most 5.
"""

import argparse
import cProfile
import pstats
import resource
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import torch

from benchmarks.commands import enter
from benchmarks.placement import prepared
from benchmarks.ratios import Ratio, interleaved
from nnunetv2_tf.dataset.cases import channel_names
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.label_roles import class_values
from nnunetv2_tf.io.arguments import KEPT_GB
from nnunetv2_tf.io.array_cache import clear, entries
from nnunetv2_tf.io.files import write_json
from nnunetv2_tf.io.json_dataclass import to_json
from nnunetv2_tf.io.workers import use_one_thread
from nnunetv2_tf.methods.lookup import SelectedMethod, find_method
from nnunetv2_tf.methods.tf_aug.fitting import FINAL, IntensityMap
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.synthesis.case_maker import CaseTask, make_case
from nnunetv2_tf.synthesis.cohort import Cohort
from nnunetv2_tf.synthesis.fit_result import FitResult
from nnunetv2_tf.synthesis.host_pool import HostPool
from nnunetv2_tf.synthesis.native_volume import read_volume
from nnunetv2_tf.synthesis.placing_pools import HealthyHostPool
from nnunetv2_tf.tumours.sampling_config import USUAL, SamplingConfig
from nnunetv2_tf.working_space.preprocess import Plan
from nnunetv2_tf.working_space.stored import Case

FIRST, AFTERWARDS, GROWTH = 4.0, 2.5, 5.0  # goals
LINES, PAIRS = 8, 16
SHOWN = 45  # functions of a profile


def typed_in(dataset: Dataset, folder: Path) -> FitResult:
    """Write a fit of tf_aug with made-up a and b, which cost as much as fitted ones, and return it."""
    classes, channels = class_values(dataset), channel_names(dataset)
    a, b = (((value,) * len(channels),) * len(classes) for value in (0.7, -0.3))
    fitted = IntensityMap(tuple(classes.values()), tuple(classes), tuple(channels), a, b, (), (), ())
    write_json(folder / FINAL, to_json(fitted))
    return FitResult(find_method("tf_aug"), folder, baseline=None, digest="typed in", needed=())


def tasks(hosts: HostPool, method: SelectedMethod, fit: FitResult | None, set_name: str) -> list[CaseTask]:
    """Return what it takes to make the cases of a recipe's first lines."""
    cohort = hosts.cohort
    files, part = tuple(cohort.files), SetPart(cohort.dataset, set_name, cohort.fold)
    return [
        CaseTask(hosts.cases[line.host], hosts.site_builder(line), method, part, files, fit)
        for line in hosts.lines(LINES)
    ]


def read_stored(cases: Iterable[Case]) -> None:
    """Read image and label of each case, as nnU-Net stores them."""
    for case in cases:
        opened = case.open()
        assert opened.image().shape[1:] == opened.stored_label.shape


def read_and_write(task: CaseTask, donors: list[Case], folder: Path) -> float:
    """Read and write the files of a case, and do nothing else; return the seconds it took."""
    start = perf_counter()
    host = task.host
    reader = host.plan.plans["image_reader_writer"]
    for path in (*host.files.images, host.files.label):
        read_volume(path, reader).write(folder / path.name)
    read_stored((host, *donors))
    return perf_counter() - start


def make(task: CaseTask) -> float:
    """Make a whole case; return the seconds it took."""
    start = perf_counter()
    make_case(task)
    return perf_counter() - start


def cohort_arguments(description: str) -> argparse.ArgumentParser:
    """Return a parser of the arguments by which `hosts_of` finds hosts."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, metavar="FOLDER", help="where nnU-Net's folders are")
    parser.add_argument("-d", metavar="DATASET", help="preprocessed; else benchmarks.placement makes one")
    parser.add_argument("-healthy", metavar="HEALTHY", help="with -d")
    parser.add_argument("-p", default="nnUNetPlans", metavar="PLANS", help="with -d (default: %(default)s)")
    return parser


def hosts_of(arguments: argparse.Namespace) -> HealthyHostPool:
    """Return healthy hosts of the folder that was asked for, and make it nnU-Net's."""
    root = arguments.root.resolve()
    if arguments.d is None:
        return prepared(root)
    enter(root)
    dataset = Dataset.find(arguments.d)
    plan = Plan.read(dataset, arguments.p, "3d_fullres")
    return HealthyHostPool(Cohort(dataset, plan, 0, Dataset.find(arguments.healthy), KEPT_GB), 0, SamplingConfig())


class Measurement:
    """Cases of a recipe's first lines, against reading and writing their files."""

    def __init__(self, hosts: HealthyHostPool, folder: Path) -> None:
        fit = typed_in(hosts.cohort.dataset, folder)
        self.todo = tasks(hosts, fit.method, fit, "coarsetime")
        self.cache, self.folder = hosts.cohort.cache.folder, folder
        self.donors = [[hosts.cohort.training[name] for name in task.line.donors] for task in self.todo]
        self.turns: Counter[str] = Counter()
        self.fill()  # intensities and appearances are measured once and kept

    def fill(self) -> None:
        """Make all cases once, so that what is kept of hosts is there."""
        for task in self.todo:
            make(task)

    def ratio(self, first_use: bool) -> Ratio:
        """Return ours over the reference, on first use of a host or afterwards."""

        def ours() -> float:
            if first_use:
                clear(self.cache)
            return make(self.todo[self._turn("ours")])

        def reference() -> float:
            index = self._turn("reference")
            return read_and_write(self.todo[index], self.donors[index], self.folder)

        self.fill()
        return interleaved(reference, ours, PAIRS)

    def show(self, what: str, first_use: bool) -> None:
        """Print a profile of all cases."""
        profile = cProfile.Profile()
        for task in self.todo:
            if first_use:
                clear(self.cache)
            profile.runcall(make, task)
        print(f"{LINES} cases, {what}:")
        pstats.Stats(profile, stream=sys.stdout).sort_stats("cumulative").print_stats(SHOWN)
        pstats.Stats(profile, stream=sys.stdout).sort_stats("tottime").print_stats(SHOWN)

    def _turn(self, who: str) -> int:
        self.turns[who] += 1
        return (self.turns[who] - 1) % LINES


def main() -> int:
    """Print the comparison; return 1 when a goal is missed, else 0."""
    parser = cohort_arguments(__doc__ or "")
    parser.add_argument("--profile", action="store_true", help="show where the time goes")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    use_one_thread()
    plain = hosts_of(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        without = Measurement(plain, Path(scratch))
        first, afterwards = without.ratio(first_use=True), without.ratio(first_use=False)
        kept = [size for size, _ in entries(without.cache).values()]
        growing = Measurement(replace(plain, sampling=USUAL), Path(scratch))
        grown = growing.ratio(first_use=False)
        if arguments.profile:
            without.show("first use", first_use=True)
            without.fill()
            without.show("afterwards", first_use=False)
            growing.fill()
            growing.show("with growth", first_use=False)
        without.todo[0].part.remove()
    added = grown.median - afterwards.median
    print(f"on first use of a host: {first} (goal: at most {FIRST:g})")
    print(f"afterwards: {afterwards} (goal: at most {AFTERWARDS:g})")
    print(f"with growth: {grown}; it adds {added:.2f} (goal: at most {GROWTH:g})")
    print(f"kept on disk: {sum(kept) / 1e6 / LINES:.1f} MB for each of {LINES} hosts with its donor")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")
    return 0 if first.median <= FIRST and afterwards.median <= AFTERWARDS and added <= GROWTH else 1


if __name__ == "__main__":
    sys.exit(main())
