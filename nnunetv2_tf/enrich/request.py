"""What `nnUNetv2_tf_enrich` is asked for."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.io.arguments import Fold
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.methods.lookup import SelectedMethod, find_method
from nnunetv2_tf.sets.names import BASELINE, ENRICHED, check_set_name, enriched_like, parse_trainer_name
from nnunetv2_tf.working_space.healthy import check_same_channels
from nnunetv2_tf.working_space.preprocess import Plan

PLANNERS = {f"nnUNetResEncUNet{size}Plans": f"nnUNetPlannerResEnc{size}" for size in ("M", "L", "XL")}


@dataclass(frozen=True)
class EnrichRequest:
    """What is to be trained with what; each step takes of it what it needs."""

    dataset: str  # id or name; the whole name where it is yet to be made
    configuration: str
    folds: tuple[Fold, ...]
    healthy: str | None  # id or name of healthy scans; None for methods that paste into labelled scans
    num_cases: int
    method: str
    preset: str
    set_name: str
    raw_brats: tuple[Path, ...]  # folders that the dataset is made of
    raw_healthy: tuple[Path, ...]
    modalities: tuple[str, ...]
    source: str | None  # of raw_brats, where names do not tell
    plans: str
    spacing: tuple[float, ...] | None  # mm, of plans that are yet to be made; None: nnU-Net's choice
    trainer: str  # of the baseline
    enriched_trainer: str | None  # None: as the baseline was trained
    train: bool
    device: str
    num_processes: int
    seed: int
    kept_gb: float  # on disk, of what is computed of hosts
    keep: tuple[float, float] | None  # which share of its tumour the baseline has to recognise; None: nobody asks

    def check(self) -> None:
        """Raise when no steps can come of it."""
        check_set_name(self.set_name)
        for name, base in ((self.trainer, BASELINE), (self.final_trainer, ENRICHED)):
            if name.split("_")[0] != base:
                raise UserError(f"{name} does not fit here; its name begins with {base}.")
            parse_trainer_name(name)
        if parse_trainer_name(self.final_trainer)[1].set_name != self.set_name:
            raise UserError(
                f"{self.final_trainer} does not train with set {self.set_name}; name it so, or leave it out."
            )
        count = parse_trainer_name(self.final_trainer)[1].count
        if count is not None and count > self.num_cases:
            raise UserError(f"{self.final_trainer} takes {count} cases, and -num_cases is {self.num_cases}; make more.")
        if not self.in_healthy and (self.raw_healthy or self.healthy):
            raise UserError(f"{self.method} pastes into labelled scans; leave -healthy and -raw_healthy out.")
        if self.in_healthy and self.healthy is None:
            raise UserError(f"{self.method} puts tumours into healthy scans; name their dataset with -healthy.")
        self._check_plans()
        if self.in_healthy:
            both = self.labelled_dataset, self.healthy_dataset
            if all((dataset.raw / "dataset.json").exists() for dataset in both):
                check_same_channels(*both)

    def _check_plans(self) -> None:
        dataset, spacing = self.labelled_dataset, self.spacing
        path = dataset.preprocessed / f"{self.plans}.json"
        if spacing is None:
            if not path.exists() and self.plans != "nnUNetPlans" and self.plans not in PLANNERS:
                raise UserError(
                    f"{dataset.name} has no plans {self.plans}; make them with nnUNetv2_plan_experiment, say their "
                    "-spacing, or leave -p out."
                )
            return
        if min(spacing) <= 0:
            raise UserError("-spacing takes three numbers above 0, in mm.")
        if self.plans == "nnUNetPlans" or self.plans in PLANNERS:
            raise UserError("Plans of another spacing want a name of their own; give one with -p: nnUNetPlans_3mm.")
        if path.exists():
            there = Plan.read(dataset, self.plans, "3d_fullres").manager.spacing
            if not np.allclose(sorted(there), sorted(spacing), rtol=1e-3):
                sizes = " ".join(f"{size:g}" for size in there)
                raise UserError(f"{path} has a spacing of {sizes} mm; leave -spacing out, or name other plans with -p.")

    @cached_property
    def selected(self) -> SelectedMethod:
        """The method with its settings."""
        return find_method(self.method, self.preset)

    @property
    def in_healthy(self) -> bool:
        """Whether tumours are put into healthy scans: tumorcp does so only where some are named."""
        hosts = self.selected.method_class.hosts
        return "healthy" in hosts and (self.healthy is not None or "real" not in hosts)

    @cached_property
    def labelled_dataset(self) -> Dataset:
        """The dataset of labelled scans, there or yet to be made."""
        return _named(self.dataset, "DATASET", bool(self.raw_brats))

    @cached_property
    def healthy_dataset(self) -> Dataset:
        """The dataset of healthy scans, there or yet to be made."""
        return _named(str(self.healthy), "-healthy", bool(self.raw_healthy))

    @property
    def final_trainer(self) -> str:
        """The trainer's name, for nnUNetv2_train -tr."""
        return self.enriched_trainer or enriched_like(self.trainer, self.set_name)


def _named(called: str, option: str, made: bool) -> Dataset:
    """Return a dataset; one that is yet to be made has to be called by its whole name."""
    number, _, name = called.removeprefix("Dataset").partition("_")
    if not made:
        return Dataset.find(called)
    if called.startswith("Dataset") and number.isdigit() and len(number) == 3 and name:
        return Dataset.of(int(number), name)
    try:
        return Dataset.find(called)
    except UserError:
        raise UserError(
            f"{option} {called} is yet to be made; give it its whole name, such as Dataset501_BraTS."
        ) from None
