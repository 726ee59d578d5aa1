"""Our CarveMix against the published procedure (benchmarks/reference_carvemix.py), on eight real T1 scans at 1 mm.

    python -m benchmarks.carvemix_time [-o FOLDER]

Two figures, each of interleaved pairs in one run, in processes that do nothing else, with one thread:

* core: carving and pasting on the same arrays with the same random numbers, no intensities harmonised; bit-equal.
* end to end: read NIfTI, edit, compose, write NIfTI, one case after the other. Preprocessing is on neither side: ours
  reads its working arrays as nnU-Net stored them, and each case's intensities as kept since their first use, which is
  timed apart. Goal: at least 4 times faster, at most half the peak memory above that after the imports.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks.africa import prepare
from benchmarks.commands import enter
from benchmarks.ratios import Ratio, interleaved

PAIRS = 16
FASTER, LEANER = 4.0, 0.5


def core(dataset_root: Path) -> Ratio:
    """Print whether both make the same arrays, and how long they take; return the ratio."""
    from benchmarks.reference_carvemix import carve_mix
    from nnunetv2_tf.methods.carvemix import carve

    cases = _arrays(dataset_root)
    equal = []

    def published(pair: int) -> tuple[np.ndarray, np.ndarray, float]:
        (host, host_label), (donor, donor_label) = cases[pair % 8], cases[(pair + 1) % 8]
        start = perf_counter()
        image, label, _, _ = carve_mix(
            host[None], donor[None], host_label, donor_label, (1.0, 1.0, 1.0), np.random.default_rng(pair)
        )
        return image[0], label, perf_counter() - start

    def ours(pair: int) -> tuple[np.ndarray, np.ndarray, float]:
        (host, host_label), (donor, donor_label) = cases[pair % 8], cases[(pair + 1) % 8]
        start = perf_counter()
        box, mask, _ = carve(donor_label > 0, (1.0, 1.0, 1.0), np.random.default_rng(pair))
        image, label = host.copy(), host_label.copy()
        np.copyto(image[box], donor[box], where=mask)
        np.copyto(label[box], donor_label[box], where=mask)
        return image, label, perf_counter() - start

    for pair in range(8):
        expected, made = published(pair), ours(pair)
        equal.append(np.array_equal(expected[0], made[0]) and np.array_equal(expected[1], made[1]))
    print(f"core: {sum(equal)} of {len(equal)} cases bit-equal")
    turns = iter(range(10**6))
    ratio = interleaved(lambda: published(next(turns))[2], lambda: ours(next(turns))[2], PAIRS)
    print(f"core: {ratio}; {1 / ratio.median:.1f} times faster")
    return ratio


def _arrays(root: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return images and whole-tumour labels as the published script holds them: double precision, one class."""
    import nibabel

    from nnunetv2_tf.dataset.cases import raw_cases

    loaded = []
    for case in raw_cases(prepare(root)).values():
        image, label = (nibabel.load(path).get_fdata() for path in (case.images[0], case.label))  # type: ignore[attr-defined]
        loaded.append((image, (label > 0).astype(np.float64)))
    return loaded


def worker(kind: str, root: Path) -> None:
    """Make one case per line of stdin; answer each with its seconds, and the peak memory in MB above the imports."""
    enter(root)
    make = _published_maker(root) if kind == "published" else _our_maker()
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak counts from now
    before = _memory("VmRSS")
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        start = perf_counter()
        make(int(line))
        seconds = perf_counter() - start
        print(json.dumps([seconds, _memory("VmHWM") - before]), flush=True)


def _memory(key: str) -> float:
    """Return memory of this process in MB, as Linux counts it."""
    match = re.search(rf"{key}:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
    assert match is not None
    return int(match.group(1)) / 1024


def _published_maker(root: Path) -> Callable[[int], None]:
    from benchmarks.reference_carvemix import mix_files
    from nnunetv2_tf.dataset.cases import raw_cases
    from nnunetv2_tf.dataset.folders import Dataset

    cases = list(raw_cases(Dataset.find("508")).values())

    def make(pair: int) -> None:
        host, donor = cases[pair % 8], cases[(pair + 1) % 8]
        targets = [root / "published_0000.nii.gz"]
        rng = np.random.default_rng(pair)
        mix_files(host.images, donor.images, host.label, donor.label, targets, root / "published.nii.gz", rng)

    return make


def _our_maker() -> Callable[[int], None]:
    import torch

    from nnunetv2_tf.dataset.cases import raw_cases
    from nnunetv2_tf.dataset.folders import Dataset
    from nnunetv2_tf.methods.lookup import find_method
    from nnunetv2_tf.sets.store import SetPart
    from nnunetv2_tf.synthesis.case_maker import CaseTask, make_case
    from nnunetv2_tf.synthesis.site_builder import RealSiteBuilder
    from nnunetv2_tf.tumours.recipe import DonorTumour, RecipeLine
    from nnunetv2_tf.working_space.preprocess import Plan
    from nnunetv2_tf.working_space.stored import training_cases

    torch.set_num_threads(1)
    dataset = Dataset.find("508")
    files = raw_cases(dataset)
    cases = training_cases(files, dataset, Plan.read(dataset, "nnUNetPlans", "3d_fullres"), "all")
    method, part = find_method("carvemix"), SetPart(dataset, "benchmark", "all")

    def make(pair: int) -> None:
        host, donor = cases[pair % 8], cases[(pair + 1) % 8]
        line = RecipeLine(pair, None, host.identifier, (DonorTumour(donor.identifier),), pair)
        builder = RealSiteBuilder(line, {donor.identifier: donor})
        make_case(CaseTask(host, builder, method, part, tuple(files)))

    return make


class Process:
    """A worker process, asked for one case after the other."""

    def __init__(self, kind: str, root: Path) -> None:
        command = [sys.executable, "-m", "benchmarks.carvemix_time", "-worker", kind, "-o", str(root)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, encoding="utf-8"
        )
        self.turn, self.peak = 0, 0.0
        self._answer()

    def run(self) -> float:
        """Have the next case made; return the seconds it took."""
        assert self.process.stdin is not None
        print(self.turn, file=self.process.stdin, flush=True)
        self.turn += 1
        seconds, self.peak = self._answer()
        return seconds

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def _answer(self):
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())


def end_to_end(root: Path) -> tuple[Ratio, float]:
    """Print time and memory of making whole cases; return both ratios."""
    published, ours = Process("published", root), Process("ours", root)
    published.run()
    first = [ours.run() for _ in range(8)]  # measures every case's intensities, too
    ours.turn = published.turn = 0
    ratio = interleaved(published.run, ours.run, PAIRS)
    memory = ours.peak / published.peak
    published.close()
    ours.close()
    print(f"end to end: {ratio}; {1 / ratio.median:.1f} times faster (goal: {FASTER:g})")
    print(f"end to end: peak above imports {ours.peak:.0f} MB against {published.peak:.0f} MB, {memory:.2f} of it")
    print(f"end to end: on first use, with intensities measured, a case took us {np.median(first):.2f} s (median of 8)")
    return ratio, memory


def main() -> int:
    """Print both comparisons; return 1 when a goal is missed, else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "-o", type=Path, metavar="FOLDER", help="where the dataset is or goes (default: a temporary one)"
    )
    parser.add_argument("-worker", choices=["published", "ours"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(arguments.worker, arguments.o)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        root = arguments.o or Path(folder)
        core(root)
        ratio, memory = end_to_end(root)
    return 0 if ratio.median <= 1 / FASTER and memory <= LEANER else 1


if __name__ == "__main__":
    sys.exit(main())
