"""Do drawn tumours follow the cohort, what do they look like, and how long does one take?

    python -m benchmarks.placement FOLDER [-lines 1000]

FOLDER is that of benchmarks.healthy_cohort. Donors are the 18 training cases of its split, hosts all healthy scans, at
1 mm; what is missing is planned and preprocessed first. Prints the quantiles of volume and class fractions of the
cohort and of the lines of a recipe, and of a planted biased sampler (twice the volume); paints where both lie
(places.png) and the first twelve (placed.png) into FOLDER.
"""

import argparse
import resource
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Literal

import numpy as np

from benchmarks.africa import ALL, prepare_full
from benchmarks.commands import run
from benchmarks.healthy_cohort import NAME, NUMBER
from nnunetv2_tf.folders import Dataset
from nnunetv2_tf.panels import Panel, write_panels
from nnunetv2_tf.preparation.preprocess import Plan
from nnunetv2_tf.synthesis.hosts import HealthyHosts
from nnunetv2_tf.tumours.bank import Bank, Lesion
from nnunetv2_tf.tumours.drawing import Draw
from nnunetv2_tf.tumours.hosting import Hosted, host_tumours, read_host
from nnunetv2_tf.tumours.recipe import Line
from nnunetv2_tf.tumours.settings import PRESETS, Controls
from nnunetv2_tf.work import in_parallel

CLASSES = {1: "NCR", 2: "ED", 3: "ET"}
WITHIN = 0.2
BIASED = 100  # lines
SHOWN = 12
TIMED = 20


@dataclass(frozen=True)
class Placed:
    """A line's tumour on its host."""

    line: Line
    hosted: Hosted
    seconds: float  # to place it


def prepared(root: Path) -> HealthyHosts:
    """Real and healthy scans at 1 mm."""
    dataset = prepare_full(root)
    run("nnUNetv2_tf_preprocess_healthy", "-d", ALL[7:10], "-healthy", NUMBER, "-c", "3d_fullres", "-np", "2")
    plan = Plan.read(dataset, "nnUNetPlans", "3d_fullres")
    healthy = Dataset(f"Dataset{NUMBER}_{NAME}")
    return HealthyHosts(dataset, plan, 0, 0, healthy, PRESETS["default"], num_processes=2)


def place_all(hosts: HealthyHosts, lines: Sequence[Line]) -> list[Placed]:
    """In the order of the lines."""
    by_host = defaultdict(list)
    for line in lines:
        by_host[line.host].append(line)
    found = in_parallel(partial(_placed, hosts.bank, dict(hosts.cases)), list(by_host.values()), 2, "Placing", "host")
    return sorted((one for several in found for one in several), key=lambda one: one.line.index)


def _placed(bank: Bank, cases: dict, lines: Sequence[Line]) -> list[Placed]:
    host = read_host(replace(cases[lines[0].host]), around_fluid=True)
    placed = []
    for line in lines:
        start = perf_counter()
        hosted = host_tumours(line.tumours, bank, host)
        assert hosted is not None  # it was drawn
        seconds = perf_counter() - start
        placed.append(Placed(line, replace(hosted, moved=()), seconds))  # a thousand of these would fill the memory
    return placed


def time_few(hosts: HealthyHosts) -> None:
    """One process, one thing after the other."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    bank, reading, drawing, placing = hosts.bank, [], [], []
    with_bank = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for index, case in enumerate(list(hosts.cases.values())[:TIMED]):
        times = [perf_counter()]
        host = read_host(replace(case), around_fluid=True)
        times.append(perf_counter())
        tumours, _ = Draw(bank, hosts.drawing, Controls()).tumours(host, np.random.default_rng([0, index]))
        times.append(perf_counter())
        host_tumours(tumours, bank, host)
        times.append(perf_counter())
        for several, seconds in zip((reading, drawing, placing), np.diff(times), strict=True):
            several.append(seconds)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"one process, {TIMED} hosts: a placed tumour {np.median(placing):.2f} s (most {max(placing):.2f}), drawn "
        f"until it fits {np.median(drawing):.2f} s (most {max(drawing):.2f}), a host read {np.median(reading):.2f} s; "
        f"peak memory {peak:.0f} MB, {with_bank:.0f} with the bank, {before:.0f} before it"
    )


def compare(bank: Bank, drawn: Sequence[Lesion]) -> None:
    """Prints the quantiles, and whether all lie within 20 %.

    Twice: interpolated between the cohort's few tumours, and as steps, each of which is a tumour. Only the latter come
    out the same when the cohort itself is drawn from often.
    """
    ways: dict[str, Literal["linear", "inverted_cdf"]] = {"interpolated": "linear", "as steps": "inverted_cdf"}
    for said, how in ways.items():
        print(f"\n{said}:")
        _compare(bank, drawn, how)


def _compare(bank: Bank, drawn: Sequence[Lesion], how: Literal["linear", "inverted_cdf"]) -> None:
    def quantiles(lesions: Sequence[Lesion]) -> np.ndarray:
        rows = [[one.volume, *(one.classes.get(value, 0) / one.volume for value in CLASSES)] for one in lesions]
        return np.percentile(rows, [10, 50, 90], axis=0, method=how)

    theirs, ours = quantiles(bank.lesions), quantiles(drawn)
    print("| | 10 % | 50 % | 90 % |\n|---|---|---|---|")
    for column, name in enumerate(["volume in ml", *CLASSES.values()]):
        cells = [f"{one:.3g} / {other:.3g}" for one, other in zip(theirs[:, column], ours[:, column], strict=True)]
        print(f"| {name} | {' | '.join(cells)} |")
    worst = float(np.abs(ours / np.maximum(theirs, 1e-9) - 1).max())
    print(f"largest difference {100 * worst:.0f} %; within 20 %: {worst <= WITHIN}")


def paint_places(path: Path, hosts: HealthyHosts, drawn: Sequence[Lesion]) -> None:
    """How often tumours lie where, seen from above, the front and the side; cohort above, drawn below."""
    reference = read_host(next(iter(hosts.cases.values())), around_fluid=False)
    rows = []
    for title, lesions in ((f"the cohort's {len(hosts.bank.lesions)}", hosts.bank.lesions), (f"{len(drawn)}", drawn)):
        heat = np.zeros(reference.organ.shape)
        back = np.linalg.inv(reference.grid)
        for lesion in lesions:
            places = np.rint(lesion.points @ back[:3, :3].T + back[:3, 3]).astype(int)
            places = places[((places >= 0) & (places < heat.shape)).all(axis=1)]
            np.add.at(heat, tuple(places.T), 1 / len(lesions))
        views = [heat.mean(axis=axis) for axis in range(3)]
        brains = [reference.organ.any(axis=axis).astype(int) for axis in range(3)]
        rows.append(
            [
                Panel(view[:: -1 if axis else 1], (0, float(view.max())), brain[:: -1 if axis else 1], title)
                for axis, (view, brain) in enumerate(zip(views, brains, strict=True))
            ]
        )
    write_panels(rows, path, inches=3.0)


def paint_placed(path: Path, hosts: HealthyHosts, placed: Sequence[Placed]) -> None:
    """Three cuts through each tumour where it is largest: the host, and with its map."""
    rows = []
    for one in placed:
        case = hosts.cases[one.line.host]
        image, organ = replace(case).image()[0], replace(case).organ()
        span = (float(image[organ].min()), float(np.quantile(image[organ], 0.998)))
        label = one.hosted.label(organ.shape)
        z, y, x = (int((label > 0).sum(axis=others).argmax()) for others in ((1, 2), (0, 2), (0, 1)))
        everything = slice(None)
        row = []
        for axis, cut in enumerate(
            ((z, everything, everything), (everything, y, everything), (everything, everything, x))
        ):
            turn = slice(None, None, -1 if axis else 1)
            shown = np.where(organ[cut], image[cut], span[0])[turn]
            volume, kept = one.hosted.lesion.volume, min(one.hosted.kept)
            title = f"{one.line.host} {volume:.0f} ml, kept {kept:.2f}, fluid {one.hosted.in_fluid:.2f}"
            row.append(Panel(shown, span, None, "" if row else title))
            row.append(Panel(shown, span, label[cut][turn]))
        rows.append(row)
    write_panels(rows, path, inches=1.7)


def main() -> None:
    """All of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="the folder of benchmarks.healthy_cohort")
    parser.add_argument("-lines", type=int, default=1000, help="default: %(default)s")
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    hosts = prepared(root)
    time_few(hosts)
    start = perf_counter()
    lines = hosts.lines(arguments.lines)
    print(f"{len(lines)} lines in {perf_counter() - start:.0f} s with two processes (what was drawn before is kept)")
    placed = place_all(hosts, lines)
    bank, drawn = hosts.bank, [one.hosted.lesion for one in placed]
    print(f"{len(bank.lesions)} donors, {len(hosts.cases)} hosts, cohort / drawn")
    compare(bank, drawn)
    left = [np.mean([lesion.centre[0] > bank.midline for lesion in several]) for several in (bank.lesions, drawn)]
    print(f"left: {left[0]:.2f} of the cohort's, {left[1]:.2f} of the drawn")
    kept, wet = ([measure(one.hosted) for one in placed] for measure in (lambda h: min(h.kept), lambda h: h.in_fluid))
    print(
        f"kept: median {np.median(kept):.3f}, least {min(kept):.3f}; left out for fluid: median {np.median(wet):.3f}, "
        f"most {max(wet):.3f}"
    )
    middle = 2 * float(np.median([lesion.volume for lesion in bank.lesions]))
    biased = replace(hosts, asked={"volume_ml": [0.7 * middle, 1.4 * middle]})
    print("a biased sampler:")
    compare(bank, [one.hosted.lesion for one in place_all(biased, biased.lines(BIASED))])
    paint_places(root / "places.png", hosts, drawn)
    paint_placed(root / "placed.png", hosts, placed[:SHOWN])


if __name__ == "__main__":
    main()
