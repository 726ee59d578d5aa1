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
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from benchmarks.placement import prepared
from benchmarks.ratios import interleaved
from nnunetv2_tf.cases import channel_names
from nnunetv2_tf.folders import Dataset
from nnunetv2_tf.meaning import class_values
from nnunetv2_tf.methods.lookup import find_method
from nnunetv2_tf.methods.tf_aug.fitting import FINAL, Fitted
from nnunetv2_tf.preparation.stored import Case
from nnunetv2_tf.records import to_json
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.synthesis.making import Learnt, Task, make_case
from nnunetv2_tf.synthesis.native import read_volume
from nnunetv2_tf.work import write_json

GOAL, LINES, PAIRS = 2.5, 8, 16


def typed_in(dataset: Dataset, folder: Path) -> Learnt:
    """What tf_aug might have learnt: what a and b are costs nothing."""
    classes, channels = class_values(dataset), channel_names(dataset)
    a, b = (((value,) * len(channels),) * len(classes) for value in (0.7, -0.3))
    fitted = Fitted(tuple(classes.values()), tuple(classes), tuple(channels), a, b, (), (), ())
    write_json(folder / FINAL, to_json(fitted))
    return Learnt(folder)


def tasks(root: Path, folder: Path) -> list[Task]:
    """The first lines of a recipe."""
    hosts = prepared(root)
    learnt, method = typed_in(hosts.dataset, folder), find_method("tf_aug")
    part = SetPart(hosts.dataset, "coarsetime", 0)
    return [
        Task(line, hosts.cases[line.host], hosts.sites(line), method, part, tuple(hosts.files), learnt)
        for line in hosts.lines(LINES)
    ]


def read_stored(cases: Iterable[Case]) -> None:
    """Image and label of each, as nnU-Net stores them."""
    for case in map(replace, cases):  # a fresh one holds no arrays
        assert case.image().shape[1:] == case.stored_label.shape


def read_and_write(task: Task, donors: list[Case], folder: Path) -> float:
    """Seconds for the files alone."""
    start = perf_counter()
    host = replace(task.host)
    reader = host.plan.plans["image_reader_writer"]
    for path in (*host.files.images, host.files.label):
        read_volume(path, reader).write(folder / path.name)
    read_stored((host, *donors))
    return perf_counter() - start


def make(task: Task) -> float:
    """Seconds for the whole case."""
    start = perf_counter()
    make_case(task)
    return perf_counter() - start


def main() -> int:
    """Exit code 1 when the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders are")
    root = parser.parse_args().root.resolve()
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        todo = tasks(root, folder)
        training = {case.identifier: case for task in todo for case in task.sites.donors.values()}  # pyright: ignore
        donors = [[training[name] for name in task.line.donors] for task in todo]
        first = [make(task) for task in todo]  # intensities and looks are measured once and kept
        turns = {"reference": 0, "ours": 0}

        def turn(who: str) -> int:
            turns[who] += 1
            return (turns[who] - 1) % LINES

        def reference() -> float:
            index = turn("reference")
            return read_and_write(todo[index], donors[index], folder)

        ratio = interleaved(reference, lambda: make(todo[turn("ours")]), PAIRS)
        todo[0].part.remove()
    print(f"on first use, with intensities and looks measured: {sorted(first)[LINES // 2]:.2f} s (median of {LINES})")
    print(f"{ratio} (goal: at most {GOAL:g})")
    return 0 if ratio.median <= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
