"""How many steps does DiffTumor need, and does a tumour's map say what is drawn? On real scans.

    python -m benchmarks.difftumor_steps FOLDER [-f 0] [-n 24] [-T 1 4 16 64] [-o TABLE.csv]

FOLDER is what benchmarks.starting_line worked in, with difftumor's brief fitted. The same lines of the recipe are made
with so many steps each, in memory, in healthy hosts, and measured against all real tumours: seconds a case, AUC of
named features and of the encoder of a baseline that nothing learnt through, distances, and for each class how large its
standard deviation and the tumour's grain are beside real ones' (1: the same). Writes a table and paints a plot.

Conditioning: the tumour of each line is called one class as a whole, and then another, drawn from the same noise. By
how many standard deviations of real tumours of both classes do the means differ, beside how far real classes' do?
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.commands import enter
from benchmarks.conditioning import conditioned
from benchmarks.in_memory import CPU, SEED, SteeringFold, made_example
from benchmarks.starting_line import DATASET, JUDGE, PLANS
from benchmarks.tables import read_rows, write_rows
from nnunetv2_tf.baseline.checkpoint import Baseline
from nnunetv2_tf.baseline.encoder import Encoder
from nnunetv2_tf.dataset.cases import channel_names
from nnunetv2_tf.io.panels import written_figure
from nnunetv2_tf.methods.difftumor.method import DiffTumor
from nnunetv2_tf.methods.lookup import find_method
from nnunetv2_tf.quality.examples import Example, matched_by_volume
from nnunetv2_tf.report.measured_examples import person, real_examples
from nnunetv2_tf.report.realism import Yardsticks
from nnunetv2_tf.synthesis.fitting import find_fit

STEPS, SECONDS = (1, 4, 16, 64), "seconds a case"
PRESET = "brief"
SHOWN = ("AUC named features", "AUC encoder", "brightness distance", "profile distance", "grain distance")
HEADER = ["steps", "figure", "value", "low", "high"]


@dataclass(frozen=True)
class DrawnFold(SteeringFold):
    """A fold, and what is drawn in it."""

    number: int

    @cached_property
    def method(self) -> DiffTumor:
        """DiffTumor as it was fitted there."""
        fitted = find_fit(self.healthy, find_method("difftumor", PRESET)).load(CPU)
        assert isinstance(fitted, DiffTumor)
        return fitted

    @cached_property
    def real(self) -> list[Example]:
        """The tumours of all patients."""
        return real_examples(self.healthy.cohort.labelled, whole=True)

    @cached_property
    def yardsticks(self) -> Yardsticks:
        """What looks at them."""
        cohort = self.healthy.cohort
        trained = frozenset(person(case) for case in cohort.training.values())
        encoder = Encoder.of(Baseline(DATASET, JUDGE, PLANS, "3d_fullres", self.fold))
        return Yardsticks(cohort.roles.tumour, tuple(channel_names(DATASET)), encoder, trained, CPU, SEED)

    def drawn(self, steps: int) -> tuple[list[Example], float]:
        """Return the tumours of all lines, drawn in so many steps, and how long one took."""
        method = timed(self.method, steps)
        lines = tqdm(self.healthy.lines(self.number), f"T = {steps}", unit="case")
        made = [made_example(self.healthy.cohort, self.healthy, line, method) for line in lines]
        return made, float(np.median(method.seconds))

    def figures(self, steps: int) -> Mapping[str, Sequence[float]]:
        """Return figures with their intervals, where there are any."""
        made, seconds = self.drawn(steps)
        examples = [*self.real, *matched_by_volume(self.real, made)]
        found = {**self.yardsticks.figures(examples, judges=0), **self.yardsticks.encoded(examples)}
        figures: dict[str, Sequence[float]] = {SECONDS: (round(seconds, 3),)}
        figures |= {name: (one.value, one.low, one.high) for name, one in found.items()}
        return {**figures, **{name: (value,) for name, value in self.beside_real(examples).items()}}

    def beside_real(self, examples: Sequence[Example]) -> Mapping[str, float]:
        """Return the medians of made tumours over those of real ones: deviations by class, and grain (of variances)."""
        names, named = self.yardsticks.named(examples)
        real = np.array([one.real for one in examples])
        found = {}
        for name in (*(f"sd {value}" for value in self.yardsticks.classes), "sd inside"):
            column = named[:, names.index(name)]
            found[f"{name}, of real"] = float(np.nanmedian(column[~real]) / np.nanmedian(column[real]))
        grain = named[:, names.index("grain inside")]
        found["grain, of real"] = float(np.exp(np.nanmedian(grain[~real]) - np.nanmedian(grain[real])))
        return found

    def conditioned(self) -> list[str]:
        """Say how far one class is drawn from another, in the same places and from the same noise."""
        sites, seeds = [], []
        for line in self.healthy.lines(self.number):
            host = self.healthy.cases[line.host].open()
            sites.append(self.healthy.site_builder(line).build(host, with_donors=False).site)
            seeds.append(line.seed)
        real = {
            value: np.concatenate([one.image[0][one.tumour == value] for one in self.real])
            for value in self.yardsticks.classes
        }
        return conditioned(self.method, sites, seeds, real)


class Timed(DiffTumor):
    """DiffTumor with a number of steps; it measures how long each case takes."""

    seconds: list[float]

    def edit(self, sites: Sequence[Any], rngs: Sequence[np.random.Generator]) -> list[Any]:
        """Edit, and note how long it took."""
        start = perf_counter()
        edited = super().edit(sites, rngs)
        self.seconds.append(perf_counter() - start)
        return edited


def timed(method: DiffTumor, steps: int) -> Timed:
    """Return the method with so many steps."""
    again = Timed(replace(method.config, steps=steps), method.device, method.fitted)
    again.diffusion, again.seconds = method.diffusion, []
    return again


def paint(rows: Sequence[Sequence[str]], path: Path) -> None:
    """Paint yardsticks, and seconds, by the number of steps."""
    values = {(int(row[0]), row[1]): float(row[2]) for row in rows if row[2]}
    steps = sorted({step for step, _ in values})
    with written_figure(path, (1, 2), (11.0, 4.0)) as axes:
        looks, takes = axes[0]
        for name in SHOWN:
            there = [step for step in steps if (step, name) in values]
            looks.plot(there, [values[step, name] for step in there], marker=".", label=name)
        takes.plot(steps, [values[step, SECONDS] for step in steps], marker=".", color="black", label=SECONDS)
        for place, title in ((looks, "AUC: 0.5 is not told apart; distances: 0 is alike"), (takes, "one core")):
            place.set(xscale="log", xlabel="T", title=title)
            place.set_xticks(steps, [str(step) for step in steps])
            place.legend(frameon=False, fontsize=8)
            place.grid(alpha=0.3)


def main() -> None:
    """Draw, measure, print and paint; go on where it was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders are")
    parser.add_argument("-f", type=int, default=0, help="fold (default: %(default)s)")
    parser.add_argument("-n", type=int, default=24, help="cases (default: %(default)s)")
    parser.add_argument("-T", type=int, nargs="+", default=list(STEPS), help="steps (default: 1 4 16 64)")
    parser.add_argument("-o", type=Path, default=Path("docs/results/difftumor/steps.csv"))
    arguments = parser.parse_args()
    enter(arguments.root.resolve())
    torch.set_num_threads(1)
    fold, rows = DrawnFold(arguments.f, arguments.n), [list(row) for row in read_rows(arguments.o)]
    for steps in arguments.T:
        if any(row[0] == str(steps) for row in rows):
            continue
        for name, found in fold.figures(steps).items():
            cells = [f"{value:.4f}" for value in found]
            rows.append([str(steps), name, *cells, *[""] * (3 - len(cells))])
            print(f"T = {steps}: {name} {' '.join(cells)}", flush=True)
        write_rows(HEADER, rows, arguments.o)
    paint(rows, arguments.o.with_suffix(".png"))
    print("\n".join(fold.conditioned()))


if __name__ == "__main__":
    main()
