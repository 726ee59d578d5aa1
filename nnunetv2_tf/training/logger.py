"""Logs of a training, as nnU-Net's trainers write them. In: lines and curves. Out: training_log_*.txt, progress.png."""

import datetime
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from nnunetv2_tf.io.panels import written_figure

PAINTED_AFTER = 10.0  # seconds since the last picture


class Logger:
    """Logs to a file in a folder, and to the screen."""

    def __init__(self, folder: Path, silent: bool = False) -> None:
        self.folder, self.silent = folder, silent
        self.painted = -PAINTED_AFTER
        self.path = folder / f"training_log_{datetime.datetime.now():%Y_%m_%d_%H_%M_%S}.txt"

    def lines(self, lines: Sequence[str]) -> None:
        """Print lines, and append them to the log file, each with the time."""
        if self.silent:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a", encoding="utf-8") as file:
            for line in lines:
                print(line, flush=True)
                file.write(f"{datetime.datetime.now():%Y-%m-%d %H:%M:%S} {line}\n")

    def epoch(
        self,
        number: int,
        epochs: int,
        values: Mapping[str, float],
        seconds: float,
        steps: int,
        waited: float | None = None,
    ) -> None:
        """Log an epoch's mean values and duration, and how long the rest of all epochs will take at this pace.

        Args:
            number: of the epoch, from 0
            epochs: how many there will be
            values: means by name
            seconds: that it took
            steps: that it had
            waited: seconds of it that were spent waiting for batches
        """
        means = ", ".join(f"{name} {value:.5f}" for name, value in values.items())
        idle = "" if waited is None else f", {100 * waited / seconds:.0f} % of it waiting for batches"
        rest = epochs - number - 1
        left = f"; {rest} of {epochs} left, about {rest * seconds / 60:.0f} min" if rest else ""
        pace = f"{seconds:.1f} s, {seconds / max(steps, 1):.2f} s per iteration"
        self.lines([f"Epoch {number}: {means}, {pace}{idle}{left}"])

    def paint(self, curves: Mapping[str, Mapping[str, Sequence[float]]], last: bool) -> None:
        """Paint progress.png: curves by epoch, one plot below the other; at the end, else every few seconds at most.

        A picture takes a third of a second, and epochs may be shorter than that.
        """
        if not last and time.monotonic() - self.painted < PAINTED_AFTER:
            return
        self.painted = time.monotonic()
        with written_figure(self.folder / "progress.png", (len(curves), 1), (9.0, 3.2 * len(curves))) as axes:
            for (place,), (name, lines) in zip(axes, curves.items(), strict=True):
                for label, values in lines.items():
                    place.plot(range(len(values)), values, label=label, marker="." if len(values) < 30 else None)
                place.set(xlabel="epoch", ylabel=name)
                place.grid(alpha=0.3)
                place.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
