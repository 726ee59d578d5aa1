"""Where do the methods stand: how real do their tumours look, and are they worth training on?

    python -m benchmarks.starting_line FOLDER [-f 0] [-m METHOD:PRESET ...] [-o TABLE.csv] [--fits]

FOLDER holds nnU-Net's folders with Dataset531_AfricaSteer, preprocessed by nnUNetPlans_25mm, Dataset631 of healthy
scans prepared for it, and baselines of two seeds, FITTED and JUDGE below: methods are fitted by the first and
filtered by it, the second's encoder only looks. Makes 24 cases with each method by the commands (with --fits after
fitting those that learn), measures them by nnUNetv2_tf_report --figures, and writes all figures into one table. Paints
twelve real tumours and twelve of each method, on healthy hosts and on free sides. Run again, it goes on with the method
that it was at.
"""

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.commands import show
from benchmarks.tables import read_rows, write_rows
from nnunetv2_tf.dataset.folders import VARIABLES, Dataset
from nnunetv2_tf.geometry.boxes import fullest_slice
from nnunetv2_tf.io.files import read_json
from nnunetv2_tf.io.panels import Panel, write_panels
from nnunetv2_tf.methods.lookup import find_method
from nnunetv2_tf.report.measured_set import MeasuredSet
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.synthesis.fit_result import learns
from nnunetv2_tf.working_space.stored import OpenCase

DATASET, HEALTHY, PLANS = Dataset("Dataset531_AfricaSteer"), "631", "nnUNetPlans_25mm"
FITTED, JUDGE = "TFBaselineTrainer_4epochs_seed0_bf16", "TFBaselineTrainer_4epochs_seed1_bf16"
METHODS = (
    "carvemix:default", "cutmix:default", "tumorcp:default", "syntumor:default", "pix2pix:brief", "tf_aug:default",
    "tf_gan:brief", "freetumor:brief", "difftumor:brief",
)  # fmt: skip
UNNAMED = ("default", "brief")  # presets that the name of a set leaves out
CASES, SHOWN, SEED = 24, 12, 0
WINDOW, SPAN = 44, (-3.0, 3.0)  # voxels of a picture; z shown black and white
HEADER = ["method", "fold", "kind", "column", "figure", "value", "low", "high"]
Row = tuple[Any, ...]  # as HEADER says


def main() -> None:
    """Make, measure, write the table and the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders are")
    parser.add_argument("-f", type=int, default=0, help="fold (default: 0)")
    chosen = ", ".join(METHODS)
    parser.add_argument("-m", nargs="+", default=METHODS, metavar="METHOD:PRESET", help=f"(default: {chosen})")
    parser.add_argument("-o", type=Path, default=Path("docs/results/realism/realism.csv"))
    parser.add_argument("--fits", action="store_true", help="fit the methods that learn first")
    arguments = parser.parse_args()
    os.environ["nnUNet_n_proc_DA"] = "0"
    for variable in VARIABLES:
        os.environ[variable] = str(arguments.root.resolve() / variable)
    rows: list[Row] = [*read_rows(arguments.o)]
    pictures: list[list[Panel]] = []
    for method, preset in (name.rsplit(":", 1) for name in arguments.m):
        called = method.rpartition(":")[2].replace("_", "").lower()
        part = SetPart(DATASET, "start" + called + ("" if preset in UNNAMED else preset), arguments.f)
        if not any((row[0], str(row[1])) == (method, str(part.fold)) for row in rows):
            for command, seconds in _make(part, method, preset, arguments.fits).items():
                rows.append((method, part.fold, "seconds", "as a whole", command, seconds, None, None))
            rows += _figures(part)
            write_rows(HEADER, rows, arguments.o)
        pictures += _pictures(part, method, with_real=not pictures)
    write_panels(pictures, arguments.o.with_suffix(".png"), inches=1.3)
    print(f"{arguments.o}, {arguments.o.with_suffix('.png')}")


def _make(part: SetPart, method: str, preset: str, fits: bool) -> dict[str, float]:
    """Run the commands; return how long each took, which says something only where nothing was there before."""
    selected = find_method(method, preset)
    healthy = [] if "real" in selected.method_class.hosts else ["-healthy", HEALTHY]
    where = [DATASET.name, "3d_fullres", str(part.fold), "-m", method, "-preset", preset, *healthy, "-p", PLANS]
    commands = [
        ["nnUNetv2_tf_fit", *where, "-tr", FITTED, "-device", "cpu"] if fits and learns(selected) else [],
        ["nnUNetv2_tf_synthesize", *where, "-s", part.set_name, "-num_cases", str(CASES), "-np", "1"],
        [
            *("nnUNetv2_tf_report", "-d", DATASET.name, "-s", part.set_name, "-f", str(part.fold), "--figures"),
            *("-judge", JUDGE, "-tr", FITTED, "-num_free", str(CASES), "-np", "1"),
        ],
    ]
    seconds = {}
    for command in filter(None, commands):
        start = perf_counter()
        if show(*command):
            raise SystemExit(2)
        seconds[command[0]] = round(perf_counter() - start, 1)
    return seconds


def _figures(part: SetPart) -> Iterator[Row]:
    """Yield method, fold, kind, column, figure, value and interval."""
    content: dict[str, Any] = read_json(part.folder / "figures.json", "")
    for kind in ("realism", "usefulness"):
        for column, figures in content[kind].items():
            for name, (value, low, high) in figures.items():
                yield content["method"], int(part.fold), kind, column, name, value, low, high
    for column, found in content["recognition"].items():
        kept = [0.7 < share <= 1 for share in found["shares"]]
        dices = np.array(found["dices"])
        figures = {"kept": float(np.mean(kept)), "Dice where kept": _mean(dices[kept])}
        figures["Dice where rejected"] = _mean(dices[~np.array(kept)])
        for name, value in figures.items():
            yield content["method"], int(part.fold), "recognition", column, name, value, None, None
    for name, seconds in content["seconds"].items():
        yield content["method"], int(part.fold), "seconds", "", name, seconds, None, None


def _mean(values: np.ndarray) -> float | None:
    return round(float(values.mean()), 4) if len(values) else None


def _pictures(part: SetPart, method: str, with_real: bool) -> Iterator[list[Panel]]:
    """Yield rows of twelve tumours, each in the slice with most of it."""
    measured = MeasuredSet.of(DATASET, part.set_name, part.fold, 1, "cpu")
    if with_real:
        real = [case.open() for case in list(measured.real.values())[:SHOWN]]
        yield [_panel(case, case.tumour(), "real" if not index else "") for index, case in enumerate(real)]
    kinds = {"free sides": list(measured.on_free_sides(CASES))}
    if measured.config.healthy is not None:
        kinds = {"healthy": list(measured.made()), **kinds}
    for kind, made in kinds.items():
        chosen = made[:SHOWN]
        title = f"{method}, {kind}"
        row = [_panel(one.case, one.tumour, title if not index else "") for index, one in enumerate(chosen)]
        nothing = Panel(np.full((WINDOW, WINDOW), SPAN[0]), SPAN)  # where fewer could be made
        yield [*row, *[nothing] * (SHOWN - len(row))]


def _panel(case: OpenCase, tumour: np.ndarray, title: str) -> Panel:
    image = np.where(case.organ(), case.image()[0], SPAN[0])
    (shown,) = around([(image, SPAN[0])], tumour, WINDOW)
    upright = shown[::-1] if case.grid.affine[1, 1] < 0 else shown
    return Panel(upright, SPAN, None, title)


def around(volumes: Sequence[tuple[np.ndarray, float]], tumour: np.ndarray, size: int) -> list[np.ndarray]:
    """Cut a window out of volumes (Z, Y, X), around a tumour in the slice with most of it.

    Args:
        volumes: each with the value that stands for what lies beyond it
        tumour: (Z, Y, X)
        size: voxels
    """
    slice_ = fullest_slice(tumour > 0)
    y, x = (int(places.mean()) for places in np.nonzero(tumour[slice_]))
    window = slice(y, y + size), slice(x, x + size)
    return [np.pad(volume[slice_], size // 2, constant_values=beyond)[window] for volume, beyond in volumes]


if __name__ == "__main__":
    main()
