"""How long does a coarse case take, against reading and writing the same files?

    python -m benchmarks.coarse_time FOLDER

FOLDER is that of benchmarks.placement: real and healthy scans at 1 mm. One thread, one process, interleaved pairs.
Ours makes a case of a recipe's line with tf_aug's default (a and b typed in; what they are costs nothing): host and
donor are read, the tumour is placed, the host harmonised, the tumour made, the case written. The reference reads the
same files (host: scan, label and stored arrays; donor: stored arrays) with the same readers and writes the two volumes
back as they are. Goal: at most 2.5 times the reference.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from time import perf_counter

from benchmarks.placement import prepared
from benchmarks.ratios import interleaved
from nnunetv2_tf.dataset.cases import channel_names
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.label_roles import class_values
from nnunetv2_tf.io.files import write_json
from nnunetv2_tf.io.json_dataclass import to_json
from nnunetv2_tf.methods.lookup import find_method
from nnunetv2_tf.methods.tf_aug.fitting import FINAL, IntensityMap
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.synthesis.case_maker import CaseTask, make_case
from nnunetv2_tf.synthesis.fit_result import FitResult
from nnunetv2_tf.synthesis.host_pool import HealthyHostPool
from nnunetv2_tf.synthesis.native_volume import read_volume
from nnunetv2_tf.working_space.stored import Case

GOAL, LINES, PAIRS = 2.5, 8, 16


def typed_in(dataset: Dataset, folder: Path) -> FitResult:
    """Write a fit of tf_aug with made-up a and b, which cost as much as fitted ones, and return it."""
    classes, channels = class_values(dataset), channel_names(dataset)
    a, b = (((value,) * len(channels),) * len(classes) for value in (0.7, -0.3))
    fitted = IntensityMap(tuple(classes.values()), tuple(classes), tuple(channels), a, b, (), (), ())
    write_json(folder / FINAL, to_json(fitted))
    return FitResult(find_method("tf_aug"), folder, baseline=None, digest="typed in", needed=())


def tasks(hosts: HealthyHostPool, folder: Path) -> list[CaseTask]:
    """Return what it takes to make the cases of a recipe's first lines."""
    dataset, files = hosts.cohort.dataset, tuple(hosts.cohort.files)
    fit, part = typed_in(dataset, folder), SetPart(dataset, "coarsetime", 0)
    return [
        CaseTask(hosts.cases[line.host], hosts.site_builder(line), fit.method, part, files, fit)
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


def main() -> int:
    """Print the comparison; return 1 when the goal is missed, else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders are")
    root = parser.parse_args().root.resolve()
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        hosts = prepared(root)
        todo = tasks(hosts, folder)
        donors = [[hosts.cohort.training[name] for name in task.line.donors] for task in todo]
        first = [make(task) for task in todo]  # intensities and appearances are measured once and kept
        turns = {"reference": 0, "ours": 0}

        def turn(who: str) -> int:
            turns[who] += 1
            return (turns[who] - 1) % LINES

        def reference() -> float:
            index = turn("reference")
            return read_and_write(todo[index], donors[index], folder)

        ratio = interleaved(reference, lambda: make(todo[turn("ours")]), PAIRS)
        todo[0].part.remove()
    median = sorted(first)[LINES // 2]
    print(f"on first use, with intensities and appearances measured: {median:.2f} s (median of {LINES})")
    print(f"{ratio} (goal: at most {GOAL:g})")
    return 0 if ratio.median <= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
