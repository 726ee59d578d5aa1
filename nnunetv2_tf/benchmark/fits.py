"""The fits that a benchmark needs. In: a training of its matrix. Out: the fits that its synthetic cases are made with.

A fit is made once per fold, through the baseline that the matrix itself trains with its first seed, and serves the sets
of all seeds.
"""

from dataclasses import dataclass
from pathlib import Path

from nnunetv2_tf.benchmark.matrix import Training
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json
from nnunetv2_tf.methods.lookup import SelectedMethod, find_method, needed_by
from nnunetv2_tf.synthesis.fit_result import learns
from nnunetv2_tf.synthesis.fitting import CONFIG, DONE, fit_name

AGAIN = "remove the fit's folder, so that the benchmark fits anew."


@dataclass(frozen=True)
class Fit:
    """The fit of a method in one fold."""

    method: SelectedMethod
    healthy: Dataset
    baseline: Training

    @property
    def kind(self) -> str:
        """What it is, in a word."""
        return "fit"

    @property
    def key(self) -> str:
        """The fit's name in logs and files."""
        where = f"{self.baseline.dataset.name}_fold{self.baseline.fold}"
        return f"{where}_fit_{fit_name(self.method, self.healthy)}".replace(":", ".")

    @property
    def folder(self) -> Path:
        """The result folder of the fit."""
        matrix, dataset = self.baseline.matrix, self.baseline.dataset
        name = fit_name(self.method, self.healthy)
        return dataset.model_fold(name, matrix.plans, matrix.configuration, self.baseline.fold)

    @property
    def state(self) -> str:
        """`done`, `begun` or `missing`."""
        if (self.folder / DONE).exists():
            return "done"
        return "begun" if (self.folder / CONFIG).exists() else "missing"

    @property
    def making_lock(self) -> Path:
        """The lock to hold while healthy scans are preprocessed."""
        return self.baseline.dataset.sets / f".{self.healthy.name}.benchmark.lock"

    @property
    def makes(self) -> str:
        """What is shared."""
        return self.healthy.name

    def commands(self, device: str) -> list[list[str]]:
        """Return the commands that preprocess the healthy scans and fit."""
        matrix, dataset = self.baseline.matrix, self.baseline.dataset
        place = [dataset.name, matrix.configuration, str(self.baseline.fold)]
        method = ["-m", self.method.name, "-preset", self.method.preset, "-healthy", self.healthy.name]
        place_of_work = ["-device", "cpu" if device == "mps" else device]  # fits know no mps
        fit = ["nnUNetv2_tf_fit", *place, *method, "-p", matrix.plans, "-tr", self.baseline.trainer, *place_of_work]
        return [matrix.preprocess_command(dataset, self.healthy.name), fit]

    def prepare(self) -> None:
        """Nothing is to be done before its commands."""

    def check_same(self) -> None:
        """Raise when the fit exists and was made through another baseline than the matrix's."""
        if not (self.folder / CONFIG).exists():
            return
        made = (read_json(self.folder / CONFIG, AGAIN).get("baseline") or {}).get("trainer")
        if made != self.baseline.trainer:
            raise UserError(
                f"{self.folder} was fitted through {made}, and the matrix trains {self.baseline.trainer}; {AGAIN}"
            )


def fits_of(training: Training) -> list[Fit]:
    """Return the fits that a training's set is made with, in the order in which they are fitted."""
    arm = training.arm
    if arm.method is None or arm.healthy is None:
        return []
    method = find_method(arm.method, arm.preset)
    if not learns(method):
        return []
    healthy, baseline = Dataset.find(str(arm.healthy)), training.baseline
    return [Fit(needed, healthy, baseline) for needed in (*needed_by(method), method)]
