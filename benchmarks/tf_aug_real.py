"""What the TF-Aug benchmarks have in common: thirty T1 scans with gliomas, healthy hosts and a baseline at 2.5 mm."""

from pathlib import Path

from benchmarks.africa import ALL, ALL_PLANS, prepare_all
from benchmarks.commands import run
from benchmarks.healthy_cohort import NAME, NUMBER
from benchmarks.real_training import BASELINE
from nnunetv2_tf.baseline.checkpoint import Baseline
from nnunetv2_tf.folders import Dataset
from nnunetv2_tf.preparation.preprocess import Plan
from nnunetv2_tf.synthesis.hosts import HealthyHosts
from nnunetv2_tf.tumours.settings import PRESETS

HEALTHY = Dataset(f"Dataset{NUMBER}_{NAME}")
FOLD = 0


def prepared(root: Path) -> Dataset:
    """Real and healthy scans at 2.5 mm; both are converted already (benchmarks.healthy_cohort)."""
    dataset = prepare_all(root)
    run("nnUNetv2_tf_preprocess_healthy", "-d", ALL[7:10], "-healthy", NUMBER, "-p", ALL_PLANS, "-c", "3d_fullres")
    return dataset


def hosts_of(dataset: Dataset, preset: str, seed: int = 0) -> HealthyHosts:
    """Healthy hosts as a preset of tf_aug has them."""
    plan = Plan.read(dataset, ALL_PLANS, "3d_fullres")
    return HealthyHosts(
        dataset, plan, FOLD, seed, HEALTHY, PRESETS.get(preset, PRESETS["default"]), harmonised=preset != "paper"
    )


def baseline_of(dataset: Dataset) -> Baseline:
    """That of `make real_baseline`."""
    return Baseline(dataset, BASELINE, ALL_PLANS, "3d_fullres", FOLD)
