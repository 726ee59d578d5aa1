"""Do drawn tumours follow the cohort, what do they look like, and how long does one take?

    python -m benchmarks.placement FOLDER [-lines 1000]

FOLDER is that of benchmarks.healthy_cohort. Donors are the 18 training cases of its split, hosts all healthy scans, at
1 mm. Prints the quantiles of volume and class fractions of the cohort and of the drawn tumours, and of a planted biased
sampler (twice the volume); paints where both lie (places.png) and the first twelve (placed.png) into FOLDER.
"""

import argparse
import resource
from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from time import perf_counter

import numpy as np
import SimpleITK as sitk

from benchmarks.africa import ALL
from benchmarks.commands import enter
from benchmarks.healthy_cohort import NAME, NUMBER
from nnunetv2_tf.cases import raw_cases
from nnunetv2_tf.folders import Dataset
from nnunetv2_tf.folds import fold_split
from nnunetv2_tf.meaning import Meaning
from nnunetv2_tf.panels import Panel, write_panels
from nnunetv2_tf.tumours.anatomy import fluid
from nnunetv2_tf.tumours.bank import Bank, Lesion, bank_of
from nnunetv2_tf.tumours.drawing import Draw
from nnunetv2_tf.tumours.hosting import Host, host_tumours
from nnunetv2_tf.tumours.recipe import Tumour
from nnunetv2_tf.tumours.settings import PRESETS, Controls
from nnunetv2_tf.work import in_parallel

CLASSES = {1: "NCR", 2: "ED", 3: "ET"}
WITHIN = 0.2
SHOWN = 12


def grid_of(image: sitk.Image) -> np.ndarray:
    """4x4, voxel (Z, Y, X) to mm (x, y, z)."""
    affine = np.eye(4)
    affine[:3, :3] = (np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing())[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    return affine


@cache
def donors(root: Path) -> tuple[Bank, Meaning]:
    """The training cases' tumours."""
    enter(root)
    dataset = Dataset(ALL)
    files = raw_cases(dataset)

    def scans() -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
        for name in sorted(fold_split(dataset, 0, files).train):
            label, image = (sitk.ReadImage(str(path)) for path in (files[name].label, files[name].images[0]))
            yield name, sitk.GetArrayFromImage(image) != 0, sitk.GetArrayFromImage(label), grid_of(label)

    return bank_of(scans()), Meaning.read(dataset)


@cache
def host(root: Path, index: int) -> Host:
    """A healthy scan, its fluid found."""
    enter(root)
    healthy = Dataset(f"Dataset{NUMBER}_{NAME}")
    name, files = list(raw_cases(healthy).items())[index]
    image = sitk.ReadImage(str(files.images[0]))
    array = sitk.GetArrayFromImage(image)
    organ = array != 0
    return Host(name, organ, fluid(array[None], organ, ["t1n"], image.GetSpacing()[::-1]), grid_of(image))


Line = tuple[int, tuple[Tumour, ...], Lesion, float, float, float]  # host, ..., kept, in fluid, seconds


def draw_line(root: Path, hosts: int, factor: float, index: int) -> Line:
    """One line; `factor` biases the volume."""
    bank, meaning = donors(root)
    number = index * 7 % hosts
    controls = Controls()
    if factor != 1:
        volumes = [lesion.volume for lesion in bank.lesions]
        middle = factor * float(np.median(volumes))
        controls = Controls(volume_ml=(0.7 * middle, 1.4 * middle))
    receiver = host(root, number)
    start = perf_counter()
    rng = np.random.default_rng([0, index])
    tumours, hosted = Draw(bank, meaning, PRESETS["default"], controls).tumours(receiver, rng)
    return number, tumours, hosted.lesion, min(hosted.kept), hosted.in_fluid, perf_counter() - start


def compare(bank: Bank, drawn: Sequence[Lesion]) -> bool:
    """Prints the quantiles; whether all lie within 20 %."""

    def quantiles(lesions: Sequence[Lesion]) -> np.ndarray:
        rows = [[one.volume, *(one.classes.get(value, 0) / one.volume for value in CLASSES)] for one in lesions]
        return np.percentile(rows, [10, 50, 90], axis=0)

    theirs, ours = quantiles(bank.lesions), quantiles(drawn)
    for column, name in enumerate(["volume in ml", *CLASSES.values()]):
        cells = [f"{one:.3g} / {other:.3g}" for one, other in zip(theirs[:, column], ours[:, column], strict=True)]
        print(f"| {name} | {' | '.join(cells)} |")
    worst = float(np.abs(ours / np.maximum(theirs, 1e-9) - 1).max())
    print(f"largest difference {100 * worst:.0f} %; within 20 %: {worst <= WITHIN}")
    return worst <= WITHIN


def paint_places(root: Path, bank: Bank, drawn: Sequence[Lesion]) -> None:
    """How often tumours lie where, seen from above, the front and the side; cohort above, drawn below."""
    reference = host(root, 0)
    rows = []
    for title, lesions in ((f"the cohort's {len(bank.lesions)}", bank.lesions), (f"{len(drawn)} drawn", drawn)):
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
    write_panels(rows, root / "places.png", inches=3.0)


def paint_placed(root: Path, lines: Sequence[Line]) -> None:
    """Three cuts through the middle of each tumour: the host, and with its map."""
    bank, meaning = donors(root)
    healthy = list(raw_cases(Dataset(f"Dataset{NUMBER}_{NAME}")).values())
    rows = []
    for number, tumours, lesion, kept, in_fluid, _ in lines:
        receiver = host(root, number)
        hosted = host_tumours(tumours, bank, receiver, meaning)
        assert hosted is not None
        image = sitk.GetArrayFromImage(sitk.ReadImage(str(healthy[number].images[0])))
        label = hosted.label(image.shape)
        z, y, x = np.rint(np.argwhere(label > 0).mean(axis=0)).astype(int)
        everything = slice(None)
        row = []
        for cut in ((z, everything, everything), (everything, y, everything), (everything, everything, x)):
            turn = slice(None, None, 1 if cut[0] is z else -1)
            title = f"{receiver.name} {lesion.volume:.0f} ml, kept {kept:.2f}, fluid {in_fluid:.2f}"
            row.append(Panel(image[cut][turn], (0, 1100), None, "" if row else title))
            row.append(Panel(image[cut][turn], (0, 1100), label[cut][turn]))
        rows.append(row)
    write_panels(rows, root / "placed.png", inches=1.7)


def main() -> None:
    """All of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="the folder of benchmarks.healthy_cohort")
    parser.add_argument("-lines", type=int, default=1000, help="default: %(default)s")
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    bank, meaning = donors(root)
    hosts = len(raw_cases(Dataset(f"Dataset{NUMBER}_{NAME}")))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    few = [draw_line(root, hosts, 1.0, index) for index in range(20)]
    placing = []
    for number, tumours, *_ in few:
        start = perf_counter()
        host_tumours(tumours, bank, host(root, number), meaning)
        placing.append(perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"one core, 1 mm: a placed tumour {np.median(placing):.2f} s (most {max(placing):.2f}), drawn until it fits "
        f"{np.median([line[-1] for line in few]):.2f} s; peak memory {peak:.0f} MB, {before:.0f} MB of it the bank"
    )
    lines = list(in_parallel(partial(draw_line, root, hosts, 1.0), range(arguments.lines), 2, "Drawing"))
    drawn = [line[2] for line in lines]
    print(f"{len(bank.lesions)} donors, {hosts} hosts, {len(lines)} lines\n| | 10 % | 50 % | 90 % |\n|---|---|---|---|")
    compare(bank, drawn)
    left = [np.mean([lesion.centre[0] > bank.midline for lesion in several]) for several in (bank.lesions, drawn)]
    print(f"left: {left[0]:.2f} of the cohort's, {left[1]:.2f} of the drawn")
    print(f"kept: median {np.median([line[3] for line in lines]):.3f}, least {min(line[3] for line in lines):.3f}; "
          f"left out for fluid: median {np.median([line[4] for line in lines]):.3f}, most "
          f"{max(line[4] for line in lines):.3f}")  # fmt: skip
    biased = in_parallel(partial(draw_line, root, hosts, 2.0), range(100), 2, "Drawing with a bias")
    print("a biased sampler:")
    compare(bank, [line[2] for line in biased])
    paint_places(root, bank, drawn)
    paint_placed(root, lines[:SHOWN])


if __name__ == "__main__":
    main()
