"""Do refined tumours grow more real while TF-GAN trains? Fresh judges' AUC over minutes.

    python -m benchmarks.tf_gan_over_time FOLDER watch FIT -o SNAPSHOTS
    python -m benchmarks.tf_gan_over_time FOLDER judge NAME=SNAPSHOTS ... [-f 0] [-o TABLE.csv]

FOLDER is what benchmarks.starting_line worked in, FIT the folder of a fit (.../fold_0). `watch` copies its checkpoint
each time that one is written, named by the minutes since it began, until the fit has ended; it knows nothing of what
trains there, so it can watch an earlier version. `judge` refines the same tumours on free sides with each of them, lets
five fresh judges find them as benchmarks.tf_gan_gates does, and paints a line for each NAME.
"""

import argparse
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks.commands import enter
from benchmarks.in_memory import CPU
from benchmarks.tables import read_rows, write_rows
from benchmarks.tf_gan_gates import JudgedFold
from nnunetv2_tf.io.panels import written_figure
from nnunetv2_tf.methods.lookup import find_method
from nnunetv2_tf.methods.tf_gan.method import TFGAN
from nnunetv2_tf.methods.tf_gan.networks import WEIGHTS, read_generator
from nnunetv2_tf.training.loop import FINAL, LATEST, read_state

KIND = "free sides"
LOOKED = 2.0  # seconds from one look at the folder to the next
HEADER = ["name", "minutes", "AUC"]


def watch(fit: Path, snapshots: Path) -> None:
    """Copy checkpoints as they are written, and the generator in the end."""
    snapshots.mkdir(parents=True, exist_ok=True)
    seen = 0.0
    while not (fit / WEIGHTS).exists() or not (fit / FINAL).exists():
        seen = _taken(fit, snapshots, seen)
        time.sleep(LOOKED)
    _taken(fit, snapshots, seen)
    shutil.copy(fit / WEIGHTS, snapshots / WEIGHTS)


def _taken(fit: Path, snapshots: Path, seen: float) -> float:
    """Copy the newest checkpoint, if it is new; return when it was written."""
    logs = [path.stat().st_mtime for path in fit.glob("config.json")]
    for path in (fit / FINAL, fit / LATEST):
        if path.exists() and path.stat().st_mtime > seen:
            written = path.stat().st_mtime
            shutil.copy(path, snapshots / f"{(written - min(logs)) / 60:06.1f}.pth")
            return written
    return seen


def generators(fold: JudgedFold, snapshots: Path) -> Iterator[tuple[float, TFGAN]]:
    """Yield the minutes and TF-GAN as it was then."""
    for path in sorted(snapshots.glob("*.pth")):
        method = TFGAN(find_method("tf_gan").config, CPU, {"tf_aug": fold.tf_aug})
        method.generator = read_generator(snapshots / WEIGHTS, "")
        method.generator.load_weights(read_state(path)["learner"]["averaged"])
        yield float(path.stem), method


def main() -> None:
    """Watch, or judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders are")
    parser.add_argument("part", choices=("watch", "judge"))
    parser.add_argument("given", nargs="+", metavar="FIT or NAME=SNAPSHOTS")
    parser.add_argument("-f", type=int, default=0, help="fold (default: 0)")
    parser.add_argument("-o", type=Path, default=Path("docs/results/tf_gan/over_time.csv"))
    arguments = parser.parse_args()
    if arguments.part == "watch":
        watch(Path(arguments.given[0]), arguments.o)
        return
    enter(arguments.root.resolve())
    torch.set_num_threads(1)
    fold, rows = JudgedFold(arguments.f), [*read_rows(arguments.o)]
    known = {(row[0], float(row[1])) for row in rows}
    for name, snapshots in (entry.split("=") for entry in arguments.given):
        several = [(0.0, fold.tf_aug), *generators(fold, Path(snapshots))]
        for minutes, method in several:
            if (name, minutes) in known:
                continue
            found = fold.found(fold.made(method, KIND))
            rows.append((name, str(minutes), f"{np.mean([share for *_, share in found]):.4f}"))
            write_rows(HEADER, rows, arguments.o)
    with written_figure(arguments.o.with_suffix(".png"), (1, 1), (7.0, 4.0)) as axes:
        for name in sorted({row[0] for row in rows}):
            line = sorted((float(minutes), float(auc)) for other, minutes, auc in rows if other == name)
            axes[0][0].plot(*zip(*line, strict=True), marker=".", label=name)
        axes[0][0].set(xlabel="minutes of training", ylabel="fresh judges' AUC, free sides")
        axes[0][0].axhline(0.5, color="grey", linewidth=0.8)
        axes[0][0].legend(frameon=False)


if __name__ == "__main__":
    main()
